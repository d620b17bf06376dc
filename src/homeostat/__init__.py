"""Homeostat trains biomedical models whose numbers can be believed.

These names are all that a notebook or a recipe of one's own needs; docs/python.md explains each. A name is loaded
when it is first used, so that `import homeostat` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from homeostat.audits.base import Finding, law
    from homeostat.cli.notebook import doctor, evaluate_run, predict, run_at, train
    from homeostat.data import splits
    from homeostat.data.batches import Batches
    from homeostat.data.blueprint import Blueprint
    from homeostat.data.store import Store
    from homeostat.engine.fit import fit
    from homeostat.engine.settings import Settings
    from homeostat.evaluate.predictions import Predictions
    from homeostat.evaluate.predictions import write as write_predictions
    from homeostat.evaluate.tables import tables
    from homeostat.guards import every
    from homeostat.guards.base import AbstractGuard as Guard
    from homeostat.guards.base import Alarm, Event
    from homeostat.recipes.recipe import Recipe
    from homeostat.report.notebook import plot
    from homeostat.run import Run, open_run
    from homeostat.task.task import Group, Loss, Task

__version__ = "0.1.0"

# Name -> where it is: a module, or a module and the name that it has there.
_PLACES = {
    # what is trained, and how
    "fit": "homeostat.engine.fit:fit",
    "Task": "homeostat.task.task:Task",
    "Loss": "homeostat.task.task:Loss",
    "Group": "homeostat.task.task:Group",
    "Batches": "homeostat.data.batches:Batches",
    "Settings": "homeostat.engine.settings:Settings",
    # the folder that a training leaves, and reading it
    "Run": "homeostat.run:Run",
    "run_at": "homeostat.cli.notebook:run_at",
    "open_run": "homeostat.run:open_run",
    "tables": "homeostat.evaluate.tables:tables",
    "plot": "homeostat.report.notebook:plot",
    # whole training systems
    "Recipe": "homeostat.recipes.recipe:Recipe",
    "train": "homeostat.cli.notebook:train",
    "predict": "homeostat.cli.notebook:predict",
    "evaluate_run": "homeostat.cli.notebook:evaluate_run",
    "doctor": "homeostat.cli.notebook:doctor",
    # what keeps a training healthy and honest
    "Guard": "homeostat.guards.base:AbstractGuard",
    "Alarm": "homeostat.guards.base:Alarm",
    "Event": "homeostat.guards.base:Event",
    "every": "homeostat.guards:every",
    "law": "homeostat.audits.base:law",
    "Finding": "homeostat.audits.base:Finding",
    # data and predictions
    "Store": "homeostat.data.store:Store",
    "Blueprint": "homeostat.data.blueprint:Blueprint",
    "splits": "homeostat.data.splits",
    "Predictions": "homeostat.evaluate.predictions:Predictions",
    "write_predictions": "homeostat.evaluate.predictions:write",
}

__all__ = [
    "Alarm",
    "Batches",
    "Blueprint",
    "Event",
    "Finding",
    "Group",
    "Guard",
    "Loss",
    "Predictions",
    "Recipe",
    "Run",
    "Settings",
    "Store",
    "Task",
    "doctor",
    "evaluate_run",
    "every",
    "fit",
    "law",
    "open_run",
    "plot",
    "predict",
    "run_at",
    "splits",
    "tables",
    "train",
    "write_predictions",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'homeostat' has no attribute {name!r}")
    module, _, inner = _PLACES[name].partition(":")
    value = importlib.import_module(module)
    return getattr(value, inner) if inner else value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
