"""A small simulated cohort, prepared once, and one run of the smoke preset on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeostat.data.store import Store
from homeostat.recipes.battery import simulate
from homeostat.recipes.battery.config import smoke
from homeostat.recipes.battery.recipe import recipe
from homeostat.run import Run
from rehearsal import NewRun, maker


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    simulate.simulate(folder, seed=1, cells=6, life_days=250)
    return folder


@pytest.fixture(scope="session")
def store(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return recipe.prepare(smoke(), cohort, tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="session")
def new_run(cohort: Path) -> NewRun:
    return maker("battery", cohort)


@pytest.fixture(scope="session")
def trained(new_run: NewRun, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs") / "smoke", smoke())
    recipe.train(smoke(), run, store)
    return run
