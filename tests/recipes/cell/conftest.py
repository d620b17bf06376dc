"""A small simulated cohort, prepared once, and one run of the smoke preset on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from homeostat.data.store import Store
from homeostat.recipes.cell.config import Config, smoke
from homeostat.recipes.cell.prepare import Preparation
from homeostat.recipes.cell.recipe import recipe
from homeostat.recipes.cell.simulate import simulate
from homeostat.run import Run
from rehearsal import NewRun, maker

CELLS = 16


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    simulate(folder, seed=1, cells=CELLS)
    return folder


@pytest.fixture(scope="session")
def config() -> Config:
    return replace(smoke(), data=Preparation(side=8, time_bins=16), seeds=2, batch_size=16)


@pytest.fixture(scope="session")
def store(cohort: Path, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Store:
    return recipe.prepare(config, cohort, tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="session")
def new_run(cohort: Path) -> NewRun:
    return maker("cell", cohort)


@pytest.fixture(scope="session")
def trained(new_run: NewRun, store: Store, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = new_run(tmp_path_factory.mktemp("runs") / "smoke", config)
    with run.active():
        recipe.train(config, run, store)
    return run


def balls(count: int, side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of balls, the larger ones being the positive class."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij")) - (side - 1) / 2
    labels = (np.arange(count) % 3 == 0).astype(np.uint8)
    radius = np.where(labels == 1, 0.40, 0.28) * side + random.uniform(-0.02, 0.02, count) * side
    away = np.linalg.norm(grid, axis=0)
    return (away[None] < radius[:, None, None, None]).astype(np.uint8) * 255, labels[:, None]


@pytest.fixture
def medmnist(tmp_path: Path) -> Path:
    """A file in the format of MedMNIST 3-D, with all three parts."""
    arrays = {}
    for place, (name, count) in enumerate((("train", 30), ("val", 24), ("test", 30))):
        arrays[f"{name}_images"], arrays[f"{name}_labels"] = balls(count, 8, place)
    file = tmp_path / "balls.npz"
    np.savez(file, **arrays)
    return file
