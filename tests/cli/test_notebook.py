"""The commands as functions: the same runs as from the command line, and cells that can be run again."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from torch import nn

import curve
import homeostat
from homeostat.engine.export import best_weights
from homeostat.engine.optim import OptimConfig
from homeostat.errors import ConfigError, RunError
from homeostat.plugin.load import load
from homeostat.recipes import RECIPES, find
from homeostat.run import Run, create
from homeostat.run.sealed import read_json
from patience import wait_for

WORD = "curve"


@pytest.fixture
def cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(RECIPES, WORD, lambda: curve.recipe)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cohort"
    folder.mkdir()
    curve.simulate(folder, 0)
    return folder


def test_train_is_the_command(cohort: Path) -> None:
    run = homeostat.train(WORD, cohort, "a", epochs=2, learning_rate=0.5, hidden_dim=8)
    config = run.config()
    assert config["config"]["fit"]["optim"]["learning_rate"] == 0.5
    assert (config["config"]["hidden_dim"], curve.inner(run.folder).status()["step"]) == (8, 10)
    assert homeostat.evaluate_run(run)["name"].to_list()[0] == "rmse"
    assert read_json(run.metrics_file)["headline"]["name"] == "rmse"
    assert len(homeostat.predict("a", cohort)) == 110
    assert homeostat.tables(curve.inner(run.folder)).journal.filter(kind="score").height == 2
    assert isinstance(homeostat.doctor(run), tuple)


def test_a_cell_can_be_run_again(cohort: Path) -> None:
    first = homeostat.train(WORD, cohort, "a", epochs=2)
    before = best_weights(curve.inner(first.folder))
    again = homeostat.train(WORD, cohort, "a", epochs=2)
    assert all(
        torch.equal(before[name], value) for name, value in best_weights(curve.inner(again.folder)).items()
    )
    assert curve.inner(homeostat.train(WORD, cohort, "a", epochs=3).folder).status()["step"] == 15
    with pytest.raises(ConfigError, match=r"was made with other settings \(hidden_dim: 16 -> 8\)"):
        homeostat.train(WORD, cohort, "a", epochs=3, hidden_dim=8)


def test_without_a_folder_each_training_has_its_own(cohort: Path) -> None:
    one, other = (homeostat.train(WORD, cohort, epochs=1) for _ in range(2))
    assert one.folder != other.folder
    assert one.folder.parent == Path("runs")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"epoch": 3}, "There is no setting 'epoch'. Did you mean 'epochs'?"),
        ({"epochs": 0}, "epochs 0 must be at least 1"),
        ({"epochs": "3"}, "fit.epochs is '3'; expected int."),
        ({"preset": "smok"}, "has no preset 'smok'. Did you mean 'smoke'?"),
        ({"data": "nowhere"}, "data 'nowhere' does not exist."),
        ({"recipe": "curv"}, "There is no recipe 'curv'. Did you mean 'curve'?"),
    ],
)
def test_a_mistake_is_named(cohort: Path, words: dict[str, object], sentence: str) -> None:
    given = {"recipe": WORD, "data": cohort, "run": "a", **words}
    with pytest.raises(ConfigError) as error:
        homeostat.train(**given)  # type: ignore[arg-type]
    assert sentence in str(error.value)
    assert not Path("a").exists()


def test_a_network_of_ones_own_is_given_by_class_or_address(outside: Path) -> None:
    (outside / "my_net.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n"
        "    def __init__(self, channels):\n        super().__init__()\n        self.layer = nn.Linear(channels, 1)\n"
        "    def forward(self, volume):\n        return self.layer(volume.mean((2, 3, 4)))[:, 0]\n"
    )
    (outside / "cells").mkdir()
    cell = find("cell")
    cell.simulate(outside / "cells", 0)
    net = load("./my_net.py:Net", "a class", lambda value: isinstance(value, type))
    given = {"preset": "smoke", "held_out": ("D1", "D5"), "epochs": 1, "yardsticks": False}
    run = homeostat.train("cell", "cells", "a", network=net, **given)
    assert run.config()["config"]["model"]["network"] == f"{outside / 'my_net.py'}:Net"
    assert (
        homeostat.train("cell", "cells", "a", network="./my_net.py:Net", **given).status()["state"] == "done"
    )
    assert set(homeostat.evaluate_run(run)["model"]) == {"own"}

    class Local(nn.Module):
        pass

    with pytest.raises(
        ConfigError, match=r"lives in this session alone.*%%writefile my_net.py.*my_net.py:Local"
    ):
        homeostat.train("cell", "cells", "b", network=Local, **given)


def fit_mine(run: Run, settings: homeostat.Settings) -> nn.Module:
    return homeostat.fit(curve.make_task(), settings, run).best_model()


def settings(**changes: object) -> homeostat.Settings:
    return homeostat.Settings(
        **{"epochs": 2, "audits": False, "optim": OptimConfig(learning_rate=0.01)} | changes
    )  # type: ignore[arg-type]


def test_a_run_of_ones_own_goes_on_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    fit_mine(homeostat.run_at(folder, fit=settings()), settings())
    longer = homeostat.run_at(folder, fit=settings(epochs=3))
    fit_mine(longer, settings(epochs=3))
    assert longer.status()["step"] == 15
    assert longer.config()["config"]["fit"]["epochs"] == 3
    with pytest.raises(
        RunError, match=r"was made with other settings \(fit.seed: 0 -> 1\). Choose another folder"
    ):
        homeostat.run_at(folder, fit=settings(seed=1))


def test_a_recipes_run_is_no_run_of_ones_own(tmp_path: Path) -> None:
    create(tmp_path / "a", {"recipe": "icu", "config": {}})
    with pytest.raises(RunError, match="is a run of the recipe icu. Choose another folder"):
        homeostat.run_at(tmp_path / "a")


def written(folder: Path, seed: int = 0, **made_with: object) -> Run:
    """A run of one's own with weights and with predictions of both splits."""
    run = homeostat.run_at(folder, **made_with)
    model = fit_mine(run, settings(seed=seed))
    judged = curve.pairs(40, seed=1)
    with torch.no_grad():
        outputs = model(judged.x)[:, 0].numpy()
    ids = [str(number) for number in judged.ids.tolist()]
    homeostat.splits.predefined(ids, ids, ["test"] * len(ids), fingerprint="").save(run.splits_file)
    for split in ("valid", "test"):
        table = homeostat.Predictions.build(
            "regression", split, ids=judged.ids.numpy(), targets=judged.y[:, 0].numpy(), outputs=outputs
        )
        homeostat.write_predictions(table, run.predictions / f"{split}.parquet")
    return run


def test_a_run_of_ones_own_is_evaluated_reported_and_exported(command_line: object, tmp_path: Path) -> None:
    run = written(tmp_path / "mine")
    command = command_line
    for words in (
        ("evaluate", run.folder),
        ("report", run.folder),
        ("export", run.folder),
        ("doctor", run.folder),
    ):
        code, _, err = command(*words)  # type: ignore[operator]
        assert code == 0, (words, err)
    assert homeostat.tables(run).scores.filter(name="rmse", split="test").height == 1
    assert (run.folder / "export" / "model.safetensors").exists()


@pytest.fixture
def command_line(request: pytest.FixtureRequest) -> object:
    """The command line; here `homeostat` is the package."""
    return request.getfixturevalue("homeostat")


@pytest.mark.parametrize("config", [{}, {"recipe": "", "config": {}}])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ("resume",),
            "was made from Python, without a recipe: only the code that made it can train it or predict",
        ),
        (("evaluate",), "has no predictions: its state is new. Write them into"),
        (("predict", "--data", ".", "--out", "new.csv"), "was made from Python, without a recipe"),
        (("export",), "has no checkpoint yet, so there is nothing to export."),
        (("compare", "{other}"), "has no predictions: its state is new. Write them into"),
    ],
)
def test_a_command_that_needs_a_recipe_says_so(
    command_line: object, tmp_path: Path, config: dict[str, object], words: tuple[str, ...], sentence: str
) -> None:
    run = create(tmp_path / "mine", config)
    other = create(tmp_path / "other", config)
    given = [str(run.folder), *(word.format(other=other.folder) for word in words[1:])]
    code, _, err = command_line(words[0], *given)  # type: ignore[operator]
    assert (code > 0, sentence in err) == (True, True), err


def test_status_says_how_a_run_of_ones_own_goes_on(command_line: object, tmp_path: Path) -> None:
    code, out, _ = command_line("status", create(tmp_path / "mine", {"recipe": ""}).folder)  # type: ignore[operator]
    assert (code, "Run the Python code again that made it" in out) == (0, True)


def test_runs_of_ones_own_are_compared(command_line: object, tmp_path: Path) -> None:
    one, other = written(tmp_path / "one"), written(tmp_path / "other", seed=1)
    code, out, err = command_line("compare", one.folder, other.folder)  # type: ignore[operator]
    assert code == 0, err
    assert "one - other" in out
    seeds = [written(tmp_path / f"seed{k}", k, fit=settings(seed=k)) for k in (1, 2)]
    code, _, err = command_line("compare", *(run.folder for run in seeds))  # type: ignore[operator]
    assert code == 2
    assert "Runs that differ only in their seed are one method" in err
    assert isinstance(homeostat.tables(one).predictions, pl.DataFrame)


@pytest.mark.faults
def test_a_detached_training_is_watched_from_the_next_cell(outside: Path) -> None:
    file = outside / "my_curve.py"
    file.write_text(Path(curve.__file__).read_text())
    (outside / "cohort").mkdir()
    curve.simulate(outside / "cohort", 0)
    run = homeostat.train("./my_curve.py:recipe", "cohort", "a", epochs=2, detach=True)
    wait_for(lambda: run.status()["state"] == "done")
    assert homeostat.tables(run).journal.filter(kind="score").height == 2
