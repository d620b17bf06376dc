"""Which training systems exist? One line each; this dict is the only place where a string becomes a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from homeostat.errors import ConfigError, did_you_mean
from homeostat.recipes.recipe import Recipe


def battery() -> Recipe[Any]:
    from homeostat.recipes.battery.recipe import recipe

    return recipe


def cell() -> Recipe[Any]:
    from homeostat.recipes.cell.recipe import recipe

    return recipe


def icu() -> Recipe[Any]:
    from homeostat.recipes.icu.recipe import recipe

    return recipe


# Loaded when asked for: a command about one recipe does not wait for the libraries of the others.
RECIPES: dict[str, Callable[[], Recipe[Any]]] = {
    "battery": battery,
    "cell": cell,
    "icu": icu,
}


def find(name: str) -> Recipe[Any]:
    """Return the recipe of that name, or say which one was probably meant."""
    if name not in RECIPES:
        raise ConfigError(f"There is no recipe {name!r}.{did_you_mean(name, RECIPES)}")
    return RECIPES[name]()
