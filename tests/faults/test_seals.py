"""A training that meets other files than it left: it goes on with the same bits, or says what is wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import curve
from curve import SETTINGS, make_task
from homeostat.cli import main
from homeostat.engine import checkpoint
from homeostat.engine.fit import fit
from homeostat.engine.saver import SaveConfig
from homeostat.engine.state import differences
from homeostat.errors import CheckpointError
from homeostat.evaluate import predictions
from homeostat.guards import every
from homeostat.recipes import RECIPES
from homeostat.run import Run, create, sealed

pytestmark = pytest.mark.faults

LONG = replace(SETTINGS, epochs=8, saving=SaveConfig(save_every=4, keep=9))
SHORT = replace(LONG, epochs=4)


@pytest.mark.parametrize("shape", ["cosine", "one-cycle"])
@pytest.mark.parametrize("lost", [1, 4, 6, 8])
def test_a_fall_back_to_before_an_extension_ends_with_the_same_bits(
    tmp_path: Path, lost: int, shape: str
) -> None:
    """The newest `lost` checkpoints are damaged: some of them were written before the run was extended."""
    short, long = (
        replace(each, schedule=replace(each.schedule, schedule=shape), evaluate_every=7)
        for each in (SHORT, LONG)
    )
    whole, run = (create(tmp_path / name, {}) for name in ("whole", "run"))
    fit(make_task(), short, whole, every())
    expected = fit(make_task(), long, whole, every()).snapshot()
    fit(make_task(), short, run, every())
    fit(make_task(), long, run, every())
    for path in checkpoint.ring(run.checkpoints)[-lost:]:
        path.write_bytes(path.read_bytes()[:-1])
    assert not differences(expected, fit(make_task(), long, run, every()).snapshot())
    assert run.kept(run.plan_file) == {"epochs": [[0, 4, 7], [20, 8, 7]]}


def test_an_extension_of_a_run_that_was_stopped_half_way_is_kept_too(tmp_path: Path) -> None:
    def extended(run: Run) -> None:
        fit(make_task(), replace(SHORT, epochs=2), run)
        fit(make_task(), replace(SHORT, epochs=3, evaluate_every=4), run)

    whole, run = (create(tmp_path / name, {}) for name in ("whole", "run"))
    for each in (whole, run):
        extended(each)
    expected = fit(make_task(), LONG, whole).snapshot()
    fit(make_task(), LONG, run)
    for path in checkpoint.ring(run.checkpoints)[1:]:
        path.write_bytes(b"")
    assert not differences(expected, fit(make_task(), LONG, run).snapshot())


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    run = create(tmp_path / "run", {"config": {"hidden_dim": 16}})
    fit(make_task(), SHORT, run)
    with pytest.raises(CheckpointError, match=r"settings\.optim\.learning_rate: 0\.01 -> 0\.5\)\. Use those"):
        fit(make_task(), replace(LONG, optim=replace(LONG.optim, learning_rate=0.5)), run)
    sealed.write_json(run.config_file, {"config": {"hidden_dim": 17}})
    with pytest.raises(CheckpointError, match=r"config\.hidden_dim: 16 -> 17"):
        fit(make_task(), LONG, run)


def test_where_and_how_long_and_how_watched_may_change(tmp_path: Path) -> None:
    run = create(tmp_path / "run", {})
    fit(make_task(), SHORT, run)
    freed = replace(LONG, saving=SaveConfig(), journal_every=1, heal=True, audits=True, device="cpu")
    assert fit(make_task(), freed, run).step == 40


def test_checkpoints_that_were_deleted_are_no_start_from_zero(tmp_path: Path) -> None:
    run = create(tmp_path / "run", {})
    fit(make_task(), SHORT, run)
    for path in run.checkpoints.glob("*.ckpt"):
        path.unlink()
    with pytest.raises(CheckpointError, match=r"damaged or missing \(step-000020\.ckpt is missing\)"):
        fit(make_task(), LONG, run)
    sealed.reseal(run.folder)
    with pytest.raises(CheckpointError, match=r"holds no checkpoint, but .*journal\.jsonl tells of steps"):
        fit(make_task(), LONG, run)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(RECIPES, "curve", lambda: curve.recipe)
    raw, run = tmp_path / "raw", tmp_path / "run"
    raw.mkdir()
    curve.simulate(raw, 0)
    words = ("train", "curve", "--data", raw, "--stores", tmp_path / "stores", "--run", run)
    assert main([str(word) for word in words]) == 0
    assert main(["evaluate", str(run)]) == 0
    return run


def test_verify_says_that_everything_holds(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["verify", str(trained)]) == 0
    printed = capsys.readouterr().out
    assert f"sealed files of {trained} hold" in printed.replace("\n", " ")
    assert "The store" in printed
    assert main(["verify", str(trained), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == {}


INNER = "children/split.curve.0"
CHANGES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "predictions": ("predictions/valid.parquet", lambda path: path.write_bytes(path.read_bytes()[:-9])),
    "checkpoint": (f"{INNER}/checkpoints/step-000030.ckpt", lambda path: path.unlink()),
    "twin": (f"{INNER}/checkpoints/step-999999.ckpt", lambda path: path.write_bytes(b"PK")),
    "child": (f"{INNER}/manifest.json", lambda path: path.write_text("{}")),
    "pipe": ("journal.jsonl", lambda path: (path.unlink(), os.mkfifo(path))),
    "status": ("status.json", lambda path: path.write_text("{")),
    "ledger": ("ledger.jsonl", lambda path: path.write_bytes(b"\xff\n")),
    "metrics": ("metrics.json", lambda path: path.write_text(path.read_text().replace("rmse", "auroc"))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_verify_names_what_does_not_hold(
    trained: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, damage = CHANGES[change]
    damage(trained / name)
    capsys.readouterr()
    code = main(["verify", str(trained)])
    printed = "".join(capsys.readouterr())
    assert (code, name in printed.replace("\n", "")) == (3, True), printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("name", ["predictions", "checkpoint"])
def test_resume_makes_again_what_a_child_lost(
    trained: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the same bits, and not in silence."""
    place = trained / INNER
    file = place / ("predictions/valid.parquet" if name == "predictions" else "checkpoints/step-000030.ckpt")
    last = checkpoint.ring(place / "checkpoints")[-1]
    expected = checkpoint.read(last)["state"]
    answers = predictions.read(place / "predictions" / "valid.parquet").outputs
    file.write_bytes(b"")
    capsys.readouterr()
    assert main(["resume", str(trained)]) == 0
    assert f"{file.name} was changed after it was written" in capsys.readouterr().err.replace("\n", "")
    assert not differences(expected, checkpoint.read(last)["state"])
    assert (predictions.read(place / "predictions" / "valid.parquet").outputs == answers).all()
    assert main(["verify", str(trained)]) == 0


def test_a_child_that_was_removed_is_trained_again(trained: Path) -> None:
    expected = curve.inner(trained).predictions / "valid.parquet"
    before = expected.read_bytes()
    shutil.rmtree(curve.inner(trained).folder)
    assert main(["resume", str(trained)]) == 0
    assert expected.read_bytes() == before
    assert main(["verify", str(trained)]) == 0
