"""A small simulated cohort, prepared once, and one run of the smoke preset on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from homeostat.config import to_plain
from homeostat.data.store import Store
from homeostat.recipes.battery import simulate
from homeostat.recipes.battery.config import Config, smoke
from homeostat.recipes.battery.recipe import prepare, train
from homeostat.run import Run, create


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    simulate.simulate(folder, seed=1, cells=6, life_days=250)
    return folder


@pytest.fixture(scope="session")
def store(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return prepare(smoke(), cohort, tmp_path_factory.mktemp("stores"))


NewRun = Callable[[Path, Config], Run]


@pytest.fixture(scope="session")
def new_run(cohort: Path) -> NewRun:
    """Makes a run as the command line would."""

    def make(folder: Path, config: Config) -> Run:
        plain = {"recipe": "battery", "data": str(cohort), "stores": str(folder.parent / "stores")}
        return create(folder, {**plain, "config": to_plain(config)})

    return make


@pytest.fixture(scope="session")
def trained(new_run: NewRun, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs") / "smoke", smoke())
    with run.active():
        train(smoke(), run, store)
    return run
