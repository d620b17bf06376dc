"""Laws of the recipe: it ends in the files of the contract, resumes to the same bits, and predicts new stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from homeostat.config import to_plain
from homeostat.data.splits import Splits
from homeostat.errors import ConfigError, DataError
from homeostat.evaluate import predictions
from homeostat.recipes import find
from homeostat.recipes.icu import recipe as recipes
from homeostat.recipes.icu import training
from homeostat.recipes.icu.config import Config
from homeostat.recipes.icu.recipe import age_band, predict, recipe, smoke, split, train
from homeostat.recipes.icu.simulate import simulate
from homeostat.recipes.icu.stack import Weights
from homeostat.run import create
from rehearsal import interrupted_at


def test_the_recipe_is_known_by_name():
    assert find("icu") is recipe


def test_sets_make_the_split(trained, store):
    splits = Splits.load(trained.splits_file)
    group = dict(zip(map(str, store["stay"]), store["group"], strict=True))
    assert {group[stay] for stay in splits.train} == {"a"}
    assert {group[stay] for stay in splits.valid} == {"b"}
    assert splits.test == ()


def test_without_sets_subjects_are_dealt(folder, store, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (folder / "set-a").iterdir():
        (flat / path.name).symlink_to(path)
    (flat / "Outcomes-a.txt").symlink_to(folder / "Outcomes-a.txt")
    made = split(Config(), recipe.prepare(Config(), flat, tmp_path / "stores"))
    sizes = [len(made.part(part)) for part in ("train", "valid", "test")]
    assert sizes == pytest.approx([112, 24, 24], abs=1)
    deaths = dict(zip(map(str, store["stay"]), store["label"], strict=True))
    assert all(any(deaths[stay] for stay in made.part(part)) for part in ("train", "valid", "test"))


def test_a_run_leaves_predictions_beside_those_of_the_yardstick(trained):
    own = predictions.read(trained.predictions / "valid.parquet")
    beside = predictions.read(trained.predictions / "valid-xgboost.parquet")
    assert (own.model, beside.model) == ("latent-ode", "xgboost")
    assert own.ids.tolist() == beside.ids.tolist()
    assert set(own.groups) == {"unit", "age", "sex"}


def test_scores_stand_beside_the_yardstick(trained):
    metrics = recipe.scores(trained.folder)
    assert metrics["headline"]["name"] == "auroc"
    assert metrics["headline"]["model"] == "latent-ode"
    assert {c["b"] for c in metrics["comparisons"]} == {"xgboost"}


def test_an_interrupted_run_resumes_to_the_same_predictions(trained, store, new_run, tmp_path):
    run = new_run(tmp_path / "again", smoke())
    with interrupted_at(8), run.active():
        train(smoke(), run, store)
    assert not run.predictions.exists()
    with run.active():
        train(smoke(), run, store)
    for name in ("valid.parquet", "valid-xgboost.parquet"):
        again = predictions.read(run.predictions / name)
        assert np.array_equal(again.outputs, predictions.read(trained.predictions / name).outputs)


def test_a_run_that_is_done_is_not_trained_again(trained, store, monkeypatch):
    before = predictions.read(trained.predictions / "valid.parquet").outputs
    monkeypatch.setattr(training, "outcome_loss", None)
    monkeypatch.setattr(training, "path_terms", None)

    def refuse(*_):
        raise AssertionError("a step was taken")

    monkeypatch.setattr(training, "outcome_loss", lambda *_: refuse)
    with trained.active():
        train(smoke(), trained, store)
    assert np.array_equal(before, predictions.read(trained.predictions / "valid.parquet").outputs)


def test_new_stays_are_predicted_without_outcomes(trained, folder, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    for path in (folder / "set-b").iterdir():
        (new / path.name).symlink_to(path)
    predict(smoke(), trained, new, tmp_path / "told.parquet")
    told = pl.read_parquet(tmp_path / "told.parquet")
    assert told.columns == ["record_id", "probability"]
    known = predictions.read(trained.predictions / "valid.parquet")
    again = dict(zip(told["record_id"], told["probability"], strict=True))
    assert [again[stay] for stay in known.ids] == pytest.approx(known.output.tolist(), abs=1e-5)


def test_a_stack_weighs_its_members_and_predicts_new_stays(new_run, store, folder, tmp_path):
    config = replace(smoke(), model="stack", members=("latent-ode", "gru-d", "survival"), pretrain_epochs=0)
    run = new_run(tmp_path / "stack", config)
    with run.active():
        train(config, run, store)
    files = {path.stem for path in run.predictions.glob("*.parquet")}
    assert files == {"valid", "valid-latent-ode", "valid-gru-d", "valid-survival"}
    assert predictions.read(run.predictions / "valid.parquet").model == "stack"
    predict(config, run, folder, tmp_path / "told.parquet")
    told = dict(pl.read_parquet(tmp_path / "told.parquet").iter_rows())
    known = predictions.read(run.predictions / "valid.parquet")
    assert [told[stay] for stay in known.ids] == pytest.approx(known.output.tolist(), abs=1e-5)


def test_weights_lean_on_the_member_that_knows():
    random = np.random.default_rng(0)
    label = (random.random(2000) < 0.2).astype(float)
    knows = 1 / (1 + np.exp(-(random.normal(size=2000) + 2 * label)))
    guesses = random.random(2000)
    weights = Weights.fit({"knows": knows, "guesses": guesses}, label)
    assert weights.weights[0] > 10 * abs(weights.weights[1])
    assert weights.combine({"knows": knows, "guesses": guesses}).mean() == pytest.approx(
        label.mean(), abs=0.01
    )


def test_training_without_deaths_is_refused(store, new_run, tmp_path, monkeypatch):
    data = recipes.load(smoke(), new_run(tmp_path / "none", smoke()), store)
    network = training.prepared("latent-ode", smoke(), data.cohort, data.rows("train"))
    alive = np.flatnonzero(data.cohort.label == 0)
    with pytest.raises(DataError, match="must both hold deaths and survivors"):
        training.training(network, smoke(), data.cohort, alive[:20], alive[20:])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dropout": 1.0}, "dropout 1.0 must be at least 0 and below 1"),
        ({"latent_dim": 0}, "latent_dim 0 must be at least 1"),
        ({"step_h": 0.0}, "step_h 0.0 must be more than 0"),
        ({"kl_weight": -1.0}, "kl_weight -1.0 must not be negative"),
        ({"model": "stack", "members": ("gru-d",)}, "A stack of 1 different members"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(wrong, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Config(**wrong)


@pytest.mark.parametrize(
    ("age", "band"),
    [(20, "below 50"), (50, "50 to 64"), (79.5, "65 to 79"), (80, "80 and above"), (np.nan, "unknown")],
)
def test_ages_fall_into_bands(age, band):
    assert age_band(age) == band


def test_two_seeds_are_two_cohorts(tmp_path):
    simulate(tmp_path / "one", 1, stays={"a": 2})
    simulate(tmp_path / "two", 2, stays={"a": 2})
    one, two = (next((tmp_path / name / "set-a").iterdir()).read_bytes() for name in ("one", "two"))
    assert one != two


def as_table(folder, path):
    """The simulated stays as an extract of some other data set: two stays per subject, names of its own."""
    rows = []
    for record in sorted((folder / "set-a").glob("*.txt")):
        died = dict(line.split(",")[::5] for line in (folder / "Outcomes-a.txt").read_text().splitlines()[1:])
        stay = record.stem
        for line in record.read_text().splitlines()[1:]:
            time, name, value = line.split(",")
            hours = int(time[:2]) + int(time[3:]) / 60
            if name in ("Age", "Gender", "HR", "GCS", "BUN") and value != "-1":
                rows.append((stay, str(int(stay) // 2), hours, name, float(value), int(died[stay])))
    columns = ["stay", "subject", "time_h", "variable", "value", "outcome"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(path)


def test_a_table_of_another_data_set_is_trained_on_by_subject(folder, tmp_path):
    (tmp_path / "data").mkdir()
    as_table(folder, tmp_path / "data" / "extract.csv")
    config = replace(smoke(), yardstick=False)
    store = recipe.prepare(config, tmp_path / "data", tmp_path / "stores")
    run = create(
        tmp_path / "run", {"recipe": "icu", "stores": str(tmp_path / "stores"), "config": to_plain(config)}
    )
    with run.active():
        train(config, run, store)
    splits = Splits.load(run.splits_file)
    subject = dict(zip(map(str, store["stay"]), map(str, store["subject"]), strict=True))
    assert not {subject[stay] for stay in splits.train} & {subject[stay] for stay in splits.test}
    assert set(predictions.read(run.predictions / "test.parquet").groups) == {"age", "sex"}
    predict(config, run, tmp_path / "data", tmp_path / "told.parquet")
    assert len(pl.read_parquet(tmp_path / "told.parquet")) == 160


def test_data_with_other_variables_than_the_models_are_refused(trained, tmp_path):
    (tmp_path / "foreign.csv").write_text("stay,time_h,variable,value\n1,0.5,pulse,80\n1,1.5,pulse,90\n")
    with pytest.raises(DataError, match="None of the data's variables"):
        predict(smoke(), trained, tmp_path, tmp_path / "told.parquet")
