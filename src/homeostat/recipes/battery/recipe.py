"""The battery recipe: which of its three tasks do these data ask for?"""

from __future__ import annotations

from pathlib import Path

from homeostat.data.store import Explanation, Store
from homeostat.recipes.battery import forecast, health, life, new, simulate
from homeostat.recipes.battery.case import case
from homeostat.recipes.battery.config import PRESETS, Config
from homeostat.recipes.battery.prepare import explain as explain_store
from homeostat.recipes.battery.prepare import prepare as prepare_store
from homeostat.recipes.battery.scores import scores
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run

TASKS = {"soh": health.train, "forecast": forecast.train, "cycle-life": life.train}


def prepare(config: Config, data: Path, stores: Path) -> Store:
    """The sealed store of the raw data."""
    return prepare_store(data, stores, config.preparation)


def explain(config: Config, data: Path, stores: Path) -> Explanation:
    """Whether `prepare` would reuse a store, and why."""
    return explain_store(data, stores, config.preparation)


def train(config: Config, run: Run, store: Store) -> None:
    """Train the task that was asked for, or the one that the data are made for."""
    task = config.task
    if task == "auto":
        task = "cycle-life" if life.has_lives(store) else "soh"
    run.environment(task=task)
    run.journal("task", task=task, store=str(store.path), fingerprint=store.fingerprint)
    TASKS[task](config, run, store)


def make_cohort(folder: Path, seed: int) -> None:
    """Simulated cells with a known vector field."""
    simulate.simulate(folder, seed)


recipe = Recipe(
    name="battery",
    summary="Ageing of batteries: health of unseen cells, forecasts of it, and cycle life.",
    config=Config,
    prepare=prepare,
    explain=explain,
    train=train,
    predict=new.predict,
    scores=scores,
    simulate=make_cohort,
    case=case,
    presets=PRESETS,
)
