"""The battery recipe: three tasks on the ageing of cells. The data decide where the configuration does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from homeostat.audits.base import Case
from homeostat.data.blueprint import Blueprint
from homeostat.data.store import Store
from homeostat.evaluate.predictions import Predictions
from homeostat.files import read_json
from homeostat.methods import crossfit
from homeostat.methods.method import Method, Plan, Table
from homeostat.methods.protocol import Protocol, Roster, Wish, choose
from homeostat.recipes.battery import cases, forecast, health, life, prepare, view
from homeostat.recipes.battery.config import PRESETS, Config
from homeostat.recipes.battery.inputs import published
from homeostat.recipes.battery.scores import scores
from homeostat.recipes.battery.simulate import simulate
from homeostat.recipes.battery.view import View
from homeostat.recipes.recipe import Recipe
from homeostat.run import Run


