"""Laws of the recipe: models that never saw a cell predict it, beside yard-sticks, and new cells are predicted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.data.splits import Splits
from homeostat.errors import DataError
from homeostat.evaluate import predictions
from homeostat.recipes.battery.config import smoke
from homeostat.recipes.battery.recipe import recipe
from homeostat.run import Run
from homeostat.task.randomness import address

YARDSTICKS = {"latent-ode", "last-value", "linear-fade", "trees", "lstm-attention"}


def files(run):
    return {file.name: predictions.read(file) for file in sorted(run.predictions.glob("*.parquet"))}


def new_store(folder):
    """The store of the cells in the folder `new`, whose targets may be missing."""
    assert recipe.new_blueprint is not None
    return recipe.new_blueprint(smoke(), folder / "new").build(folder / "stores")


def test_a_run_leaves_predictions_of_the_model_and_of_every_yardstick(trained):
    written = files(trained)
    assert {p.model for p in written.values() if p.split == "test"} == YARDSTICKS
    assert written["test.parquet"].model == "latent-ode"
    ids = {tuple(p.ids) for p in written.values() if p.split == "test"}
    assert len(ids) == 1, "every model is judged on the same rows"


def test_every_cell_is_left_out_once_and_never_learnt_from_then(trained, store):
    cells = {str(cell) for cell in store["cell"]}
    assert set(files(trained)["test.parquet"].subjects) == cells
    for child in trained.children():
        splits = Splits.load(child.splits_file)
        assert set(splits.test) | set(splits.train) == cells
        assert not set(splits.test) & set(splits.train)
        assert child.name.startswith(splits.test[0] + ".")


@pytest.mark.parametrize(
    ("protocol", "names"),
    [
        ("auto", None),
        ("leave-one-out", None),
        ("by-subject", ["split"]),
        ("folds", ["fold0", "fold1", "fold2"]),
    ],
)
def test_the_protocol_decides_who_is_left_out(protocol, names, store):
    cells = [str(cell) for cell in store["cell"]]
    plan = recipe.plan(replace(smoke(), protocol=protocol, folds=3), Run(Path("none")), store)
    assert list(plan.protocol.splits) == (names or cells), "six cells are left out one by one"
    for splits in plan.protocol.splits.values():
        assert bool(splits.valid) == (names is not None), "leave-one-out spares no cell for validation"


def test_the_draws_of_a_network_depend_on_split_and_number_alone(store):
    """Both kinds meet the same windows; a run with more seeds begins with the same networks."""
    few, many = (recipe.plan(replace(smoke(), seeds=n), Run(Path("none")), store).children for n in (1, 2))
    seeds = {child.name: child.lesson.seed for child in many}
    assert all(seeds[child.name] == child.lesson.seed for child in few)
    assert seeds["S001.latent-ode.1"] == seeds["S001.lstm-attention.1"]
    assert seeds["S001.latent-ode.0"] == address(smoke().fit.seed, "S001", 0) % 2**31


def test_solver_steps_are_in_the_journal_of_every_epoch(trained):
    children = [child for child in trained.children() if "latent-ode" in child.name]
    for child in children:
        epochs = list(child.events("epoch"))
        assert len(epochs) == 2
        assert all(event["ode_solver_steps"] > 0 for event in epochs)
        assert all(event["ode_evaluations"] >= event["ode_solver_steps"] for event in epochs)


def test_scores_compare_the_model_with_each_yardstick_over_cells(trained):
    metrics = recipe.scores(trained.folder)
    assert metrics["headline"]["name"] == "rmse per subject"
    assert metrics["headline"]["model"] == "latent-ode"
    assert {c["b"] for c in metrics["comparisons"]} == YARDSTICKS - {"latent-ode"}
    assert all(c["score"] == "rmse per subject" for c in metrics["comparisons"])


def test_new_cells_are_predicted_without_targets(trained, cohort, tmp_path):
    table = pl.read_csv(cohort / "cells.csv").filter(pl.col("cell") == "S002")
    (tmp_path / "new").mkdir()
    answers = []
    for known in (True, False):  # the same outputs, targets or not, whatever other columns there are
        new = table.with_columns(cell=pl.lit("N1"), bench=pl.lit(3.0), discharge_s=pl.col("soh") * 3600)
        (new if known else new.drop("soh")).write_csv(tmp_path / "new" / "cells.csv")
        answers.append(recipe.predict(smoke(), trained, new_store(tmp_path)))
    seeing, blind = answers
    assert seeing.split == "new"
    assert set(seeing.subjects) == {"N1"}
    assert len(seeing) == len(table)
    np.testing.assert_array_equal(seeing.outputs, blind.outputs)
    assert np.isnan(blind.targets).all()


def test_a_life_is_forecast_beyond_its_last_target(store, cohort, new_run, tmp_path):
    config = replace(smoke(), task="forecast", yardsticks=False)
    run = new_run(tmp_path / "forecast", config)
    recipe.train(config, run, store)
    table = pl.read_csv(cohort / "cells.csv").filter(pl.col("cell") == "S002")
    (tmp_path / "new").mkdir()
    known = pl.int_range(pl.len()) < len(table) // 2
    table.with_columns(soh=pl.when(known).then("soh")).write_csv(tmp_path / "new" / "cells.csv")
    ahead = recipe.predict(config, run, new_store(tmp_path))
    assert len(ahead) == len(table) - len(table) // 2
    assert np.isfinite(ahead.outputs).all()


def test_a_cell_unlike_any_that_was_learnt_from_is_named(trained, cohort, tmp_path, capsys):
    table = pl.read_csv(cohort / "cells.csv").filter(pl.col("cell") == "S002")
    (tmp_path / "new").mkdir()
    table.with_columns(temperature_c=pl.lit(900.0)).write_csv(tmp_path / "new" / "cells.csv")
    recipe.predict(smoke(), trained, new_store(tmp_path))
    sentence = f"Cell S002: {len(table)} of {len(table)} steps have an input more than 6 standard deviations"
    assert sentence in capsys.readouterr().err


def test_forecasts_are_made_for_each_share_of_a_life(store, new_run, tmp_path):
    config = replace(smoke(), task="forecast", cells=("S000", "S001", "S002"))
    run = new_run(tmp_path / "forecast", config)
    recipe.train(config, run, store)
    written = files(run)
    assert {p.model for p in written.values() if p.split == "test"} == YARDSTICKS
    test = written["test.parquet"]
    assert test.names == ("soh from 30 %", "soh from 50 %")
    known = np.isfinite(test.targets).sum(axis=0)
    assert known[0] > known[1] > 0
    last = written["test-last-value.parquet"].one("soh from 30 %")
    for cell in np.unique(last.subjects):
        assert len(set(last.output[last.subjects == cell])) == 1


def test_bare_curves_can_be_forecast_and_health_of_unseen_ones_is_refused(cohort, new_run, tmp_path):
    (tmp_path / "bare").mkdir()
    table = pl.read_csv(cohort / "cells.csv").select("cell", "time_days", "soh")
    table.write_csv(tmp_path / "bare" / "cells.csv")
    config = replace(smoke(), task="forecast", cells=("S000", "S001", "S002"), yardsticks=False)
    bare = recipe.prepare(config, tmp_path / "bare", tmp_path / "stores")
    run = new_run(tmp_path / "run", config)
    recipe.train(config, run, bare)
    assert set(files(run)["test.parquet"].subjects) == set(config.cells)
    with pytest.raises(DataError, match="no inputs beside soh"):
        recipe.plan(smoke(), run, bare)


@pytest.mark.slow
def test_leave_one_cell_out_over_the_nasa_cells_stays_below_two_percent(shared_data, new_run, tmp_path):
    config = replace(recipe.config(), seeds=1, yardsticks=False)
    store = recipe.prepare(config, shared_data / "battery" / "nasa", tmp_path / "stores")
    run = new_run(tmp_path / "nasa", config)
    recipe.train(config, run, store)
    assert recipe.scores(run.folder)["headline"]["value"] <= 0.020
