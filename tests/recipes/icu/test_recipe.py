"""Laws of the recipe: its files, its stack, its settings, and predictions of new stays."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from homeostat.errors import ConfigError, DataError, RunError
from homeostat.evaluate import predictions
from homeostat.methods.method import Lesson
from homeostat.recipes import find
from homeostat.recipes.icu import training
from homeostat.recipes.icu.config import Config, smoke
from homeostat.recipes.icu.recipe import plan, predict, recipe
from homeostat.recipes.icu.simulate import simulate
from homeostat.run import sealed


def stack_config():
    return replace(smoke(), model="stack", members=("latent-ode", "gru-d", "survival"), pretrain_epochs=0)


@pytest.fixture(scope="module")
def stacked(new_run, store, tmp_path_factory):
    run = new_run(tmp_path_factory.mktemp("stacked") / "stack", stack_config())
    recipe.train(stack_config(), run, store)
    return run


def test_the_recipe_is_known_by_name():
    assert find("icu") is recipe


def test_a_run_leaves_predictions_beside_those_of_the_yardstick(trained):
    own = predictions.read(trained.predictions / "valid.parquet")
    beside = predictions.read(trained.predictions / "valid-xgboost.parquet")
    assert (own.model, beside.model) == ("latent-ode", "xgboost")
    assert (own.selected, beside.selected) == ("best valid/auroc", "")
    assert own.ids.tolist() == beside.ids.tolist()
    assert set(own.groups) == {"unit", "age", "sex"}


def test_scores_stand_beside_the_yardstick(trained):
    metrics = recipe.scores(trained.folder)
    assert metrics["headline"]["name"] == "auroc"
    assert metrics["headline"]["model"] == "latent-ode"
    assert {comparison["b"] for comparison in metrics["comparisons"]} == {"xgboost"}


def new_stays(folder, path, group="b"):
    """A folder of stays alone, without outcomes."""
    path.mkdir()
    for record in (folder / f"set-{group}").iterdir():
        shutil.copy(record, path)
    return path


def test_new_stays_are_predicted_without_outcomes(trained, folder, tmp_path):
    unseen = recipe.prepare(smoke(), new_stays(folder, tmp_path / "new"), tmp_path / "stores")
    answers = predict(smoke(), trained, unseen)
    assert (answers.split, answers.model, answers.names) == ("new", "latent-ode", ("death",))
    assert np.isnan(answers.targets).all()
    known = predictions.read(trained.predictions / "valid.parquet")
    again = dict(zip(answers.ids, answers.output, strict=True))
    assert [again[stay] for stay in known.ids] == pytest.approx(known.output.tolist(), abs=1e-5)


def test_a_stack_reports_its_members_and_the_yardstick(stacked):
    files = {path.stem for path in stacked.predictions.glob("*.parquet")}
    assert files == {"valid", "valid-latent-ode", "valid-gru-d", "valid-survival", "valid-xgboost"}
    assert predictions.read(stacked.predictions / "valid.parquet").model == "stack"
    (chosen,) = stacked.child("split.stack.0").events("stack")
    assert chosen["rung"] in ("best", "mean", "convex", "logistic", "mlp")


def test_a_member_of_the_stack_is_scored_once_at_its_end(stacked):
    place = stacked.child("split.stack.0")
    for name, epochs in (("latent-ode", smoke().fit.epochs), ("gru-d", smoke().recurrent_epochs)):
        for fold in range(2):
            member = place.child(f"fold{fold}.{name}.0")
            (score,) = member.events("score")
            assert score["step"] == epochs * (80 // smoke().batch_size)


def test_a_stack_predicts_new_stays(stacked, folder, tmp_path):
    unseen = recipe.prepare(stack_config(), new_stays(folder, tmp_path / "new"), tmp_path / "stores")
    answers = predict(stack_config(), stacked, unseen)
    assert answers.model == "stack"
    known = predictions.read(stacked.predictions / "valid.parquet")
    again = dict(zip(answers.ids, answers.output, strict=True))
    assert [again[stay] for stay in known.ids] == pytest.approx(known.output.tolist(), abs=1e-5)


def test_the_yardstick_of_a_run_has_the_seed_of_the_run_and_no_two_networks_share_one(
    store, new_run, tmp_path
):
    config = replace(smoke(), seeds=3)
    children = plan(config, new_run(tmp_path / "seeds", config), store).children
    names = [child.name for child in children]
    assert names == [*(f"split.latent-ode.{k}" for k in range(3)), "split.xgboost.0"]
    seeds = {child.name: child.lesson.seed for child in children}
    assert seeds["split.xgboost.0"] == config.fit.seed
    later = replace(config, fit=replace(config.fit, seed=1))
    others = plan(later, new_run(tmp_path / "later", later), store).children
    assert not {seeds[name] for name in names[:3]} & {child.lesson.seed for child in others[:3]}


def test_the_mean_of_the_networks_is_that_of_their_logits(store, new_run, tmp_path):
    config = replace(smoke(), seeds=2, pretrain_epochs=0, yardsticks=False)
    run = new_run(tmp_path / "two", config)
    recipe.train(config, run, store)
    whole = predictions.read(run.predictions / "valid.parquet").output
    each = [
        predictions.read(run.child(f"split.latent-ode.{k}").predictions / "valid.parquet").output
        for k in (0, 1)
    ]
    odds = np.sqrt(np.prod([p / (1 - p) for p in each], axis=0))
    assert whole == pytest.approx(odds / (1 + odds), rel=1e-9)
    assert not np.array_equal(*each)


def test_scales_that_were_cut_off_are_named_and_can_be_fitted_again(store, new_run, tmp_path):
    run = new_run(tmp_path / "torn", smoke())
    plan(smoke(), run, store)
    file = run.fitted / "scales.json"
    whole = file.read_bytes()
    file.write_bytes(whole[:1000])
    with pytest.raises(RunError, match=f"{file.name} was changed after it was written"):
        plan(smoke(), run, store)
    sealed.remove(file)
    plan(smoke(), run, store)
    assert file.read_bytes() == whole


def test_unknown_outcomes_are_refused_before_anything_is_trained(folder, new_run, tmp_path):
    """Neither the pre-training nor the trees begin."""
    store = recipe.prepare(smoke(), new_stays(folder, tmp_path / "new"), tmp_path / "stores")
    run = new_run(tmp_path / "unknown", smoke())
    with pytest.raises(
        DataError, match="training stays 0 are known to have died and 0 to have lived; both are needed"
    ):
        recipe.train(smoke(), run, store)
    assert not run.children()


def test_training_without_deaths_is_refused(store, new_run, tmp_path):
    lesson = plan(smoke(), new_run(tmp_path / "none", smoke()), store).children[0].lesson
    alive = np.flatnonzero(lesson.data.cohort.label == 0)
    ids = tuple(lesson.data.cohort.ids[row] for row in alive)
    splits = replace(lesson.splits, train=ids[:20], valid=ids[20:])
    with pytest.raises(DataError, match="must both hold deaths and survivors"):
        training.task_of("latent-ode", smoke(), Lesson(data=lesson.data, splits=splits, seed=0))


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"dropout": 1.0}, "dropout 1.0 must be at least 0 and below 1"),
        ({"latent_dim": 0}, "latent_dim 0 must be at least 1"),
        ({"seeds": 0}, "seeds 0 must be at least 1"),
        ({"step_h": 0.0}, "step_h 0.0 must be more than 0"),
        ({"kl_weight": -1.0}, "kl_weight -1.0 must not be negative"),
        ({"model": "stack", "members": ("gru-d",)}, "A stack of 1 different members"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(wrong, sentence):
    with pytest.raises(ConfigError, match=sentence):
        Config(**wrong)


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


def test_a_table_of_another_data_set_is_trained_on_by_subject(folder, new_run, tmp_path):
    (tmp_path / "data").mkdir()
    as_table(folder, tmp_path / "data" / "extract.csv")
    config = replace(smoke(), yardsticks=False)
    store = recipe.prepare(config, tmp_path / "data", tmp_path / "stores")
    run = new_run(tmp_path / "run", config)
    recipe.train(config, run, store)
    splits = next(iter(plan(config, run, store).protocol.splits.values()))
    subject = dict(zip(map(str, store["stay"]), map(str, store["subject"]), strict=True))
    assert not {subject[stay] for stay in splits.train} & {subject[stay] for stay in splits.test}
    assert set(predictions.read(run.predictions / "test.parquet").groups) == {"age", "sex"}
    answers = predict(config, run, store)
    assert len(answers) == 160
    assert set(answers.subjects) == set(subject.values())
    assert np.isfinite(answers.targets).all()


def test_data_with_other_variables_than_the_models_are_refused(trained, tmp_path):
    (tmp_path / "foreign.csv").write_text("stay,time_h,variable,value\n1,0.5,pulse,80\n1,1.5,pulse,90\n")
    foreign = recipe.prepare(smoke(), tmp_path, tmp_path / "stores")
    with pytest.raises(DataError, match="None of the data's variables"):
        predict(smoke(), trained, foreign)
