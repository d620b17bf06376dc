"""Laws of cycle life: the published features, the published split, and a model that is a few numbers in a file."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from homeostat.errors import DataError
from homeostat.evaluate import predictions
from homeostat.methods import fitted
from homeostat.recipes.battery import dq, life
from homeostat.recipes.battery.config import Config, smoke
from homeostat.recipes.battery.recipe import recipe
from homeostat.run import Run, create, open_run


@pytest.fixture(scope="module")
def severson(shared_data, tmp_path_factory):
    raw = shared_data / "battery" / "severson"
    return recipe.prepare(Config(), raw, tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def features(severson):
    return dq.features(severson)


def test_variance_and_minimum_are_the_published_ones(severson, features):
    classic = np.asarray(severson["classic"])
    np.testing.assert_allclose(features["log_var"], classic[:, 0], atol=0.02)
    np.testing.assert_allclose(features["log_min"], classic[:, 1], atol=0.02)


def test_every_feature_is_finite(features):
    assert all(np.isfinite(values).all() for values in features.values())
    assert set(life.FEATURE_SETS[0]) | set(life.FEATURE_SETS[1]) <= set(features)


def test_a_broken_counter_is_mended_from_its_neighbours(severson):
    _, capacities = dq.capacities(severson)
    assert max(float(capacity.max()) for capacity in capacities) < 1.2


def test_a_broken_curve_is_replaced_by_the_nearest_whole_one():
    curves = np.arange(12.0).reshape(1, 4, 3)
    curves[0, 2, 1] = np.nan
    np.testing.assert_array_equal(dq.curve_at(curves, np.array([8, 9, 10, 11]), 10), curves[:, 1])
    with pytest.raises(DataError, match="no whole discharge curve"):
        dq.curve_at(np.full((1, 2, 3), np.nan), np.array([1, 2]), 1)


def test_the_split_is_the_published_one(severson):
    protocol = recipe.plan(Config(), Run(Path("none")), severson).protocol
    assert (protocol.name, list(protocol.splits)) == ("official", ["lives"])
    splits = protocol.splits["lives"]
    assert (len(splits.train), len(splits.valid), len(splits.test)) == (41, 0, 43)


def test_elastic_nets_survive_their_file_and_refuse_a_cell_without_a_life(severson, tmp_path):
    plan = recipe.plan(Config(), Run(Path("none")), severson)
    lesson, nets = plan.children[0].lesson, plan.main
    run = create(tmp_path / "run", {})
    trained = nets.train(lesson, run).answer(plan.data, plan.data.cells.cells)
    assert list(fitted.load(run, "lines")["lines"][0]["names"]) == list(life.FEATURE_SETS[0])
    loaded = nets.load(open_run(tmp_path / "run")).answer(plan.data, plan.data.cells.cells)
    np.testing.assert_array_equal(loaded, trained)
    unknown = plan.data.numbers[life.LIFE].copy()
    unknown[plan.data.rows(lesson.splits.train[:1])] = np.nan
    spoiled = replace(plan.data, numbers={**plan.data.numbers, life.LIFE: unknown})
    with pytest.raises(
        DataError, match=rf"Training cell {lesson.splits.train[0]} has no cycle life \(1 in all"
    ):
        nets.train(replace(lesson, data=spoiled), create(tmp_path / "spoiled", {}))


def test_series_end_at_cycle_100_and_hold_their_target_there(severson):
    tracks = life.series(severson)
    assert len(tracks) == 84
    assert all(track.time[-1] == 100 for track in tracks)
    assert all(track.scored.tolist() == [False] * (len(track) - 1) + [True] for track in tracks)


def test_other_data_are_refused(store):
    with pytest.raises(DataError, match="no cycle lives"):
        recipe.plan(replace(smoke(), task="cycle-life"), Run(Path("none")), store)


def test_cells_without_a_known_life_or_split_can_be_predicted(shared_data, new_run, tmp_path):
    raw, unseen = shared_data / "battery" / "severson", tmp_path / "unseen"
    unseen.mkdir()
    cells = pl.read_parquet(raw / "cells.parquet").filter(pl.col("split") != "train").tail(3)
    cells.select("cell").write_parquet(unseen / "cells.parquet")
    for name in ("qd_per_cycle.parquet", "qv.npz"):
        shutil.copy(raw / name, unseen / name)
    config = Config(yardsticks=False)
    run = new_run(tmp_path / "run", config)
    recipe.train(config, run, recipe.prepare(config, raw, tmp_path / "stores"))
    assert recipe.new_blueprint is not None
    new = recipe.predict(config, run, recipe.new_blueprint(config, unseen).build(tmp_path / "stores"))
    test = predictions.read(run.predictions / "test.parquet")
    known = dict(zip(test.ids, test.output, strict=True))
    assert new.ids.tolist() == cells["cell"].to_list()
    assert np.isnan(new.targets).all()
    np.testing.assert_allclose(new.output, [known[cell] for cell in new.ids], rtol=1e-5)
    error = test.output - test.truth
    assert np.sqrt(np.mean(error**2)) <= 90
