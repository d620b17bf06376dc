"""A small simulated cohort, prepared once, and one run of the smoke preset on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from homeostat.data.store import Store
from homeostat.recipes.icu import cohort as cohorts
from homeostat.recipes.icu.cohort import Cohort
from homeostat.recipes.icu.config import Config, smoke
from homeostat.recipes.icu.recipe import recipe
from homeostat.recipes.icu.simulate import simulate
from homeostat.run import Run
from rehearsal import NewRun, maker


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("stays")
    simulate(raw, 1, stays={"a": 160, "b": 80})
    return raw


@pytest.fixture(scope="session")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return recipe.prepare(Config(), folder, tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="session")
def stays(store: Store) -> Cohort:
    rows = np.flatnonzero(store["group"] == "a")
    curves, static = cohorts.fit_curves(store, rows), cohorts.fit_static(store, rows)
    return cohorts.standardise(cohorts.load(store, curves, static), rows)


@pytest.fixture(scope="session")
def new_run(folder: Path) -> NewRun:
    return maker("icu", folder)


@pytest.fixture(scope="session")
def trained(new_run: NewRun, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs") / "smoke", smoke())
    recipe.train(smoke(), run, store)
    return run
