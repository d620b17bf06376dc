"""Which training systems exist? One line each; this dict is the only place where a string becomes a recipe."""

from __future__ import annotations

from typing import Any

from homeostat.errors import ConfigError, did_you_mean
from homeostat.recipes.battery.recipe import recipe as battery
from homeostat.recipes.cell.recipe import recipe as cell
from homeostat.recipes.icu.recipe import recipe as icu
from homeostat.recipes.recipe import Recipe

RECIPES: dict[str, Recipe[Any]] = {
    "battery": battery,
    "cell": cell,
    "icu": icu,
}


def find(name: str) -> Recipe[Any]:
    """Return the recipe of that name, or say which one was probably meant."""
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe {name!r}.{did_you_mean(name, RECIPES)}")
    return RECIPES[name]
