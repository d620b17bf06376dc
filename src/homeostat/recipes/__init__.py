"""The training systems that exist: ours by name, one line each, and others by address or entry point.

`find` is the only place where a string becomes a recipe.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from homeostat.errors import ConfigError, did_you_mean
from homeostat.plugin.address import is_address, parse
from homeostat.plugin.load import load
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

# The same sentences as in the recipes, so that a list of them loads none.
SUMMARIES: dict[str, str] = {
    "battery": "Ageing of batteries: health of unseen cells, forecasts of it, and cycle life.",
    "cell": "Volumes into two classes: cells by their fluorescence decay, organs by their shape.",
    "icu": "Death in hospital from the first 48 hours in intensive care: latent ODE, ODE-RNN, GRU-D, xgboost, stack.",
}

# Packages publish recipes in this group of their entry points: my-ecg = "mypackage.ecg:recipe".
GROUP = "homeostat.recipes"
EXAMPLE = "./my_ecg.py:recipe"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def find(word: str) -> Recipe[Any]:
    """Return the recipe of that name or address, or say which one was probably meant."""
    if word in RECIPES:
        return RECIPES[word]()
    if is_address(word):
        return _at(word)
    others = published()
    if word in others:
        return _at(_only(word, others[word]))
    raise ConfigError(
        f"There is no recipe {word!r}.{did_you_mean(word, [*RECIPES, *others])} "
        f"A recipe of your own has an address, such as {EXAMPLE}."
    )


def published() -> dict[str, list[str]]:
    """Name -> addresses of the recipes that installed packages publish; nothing is loaded."""
    names: dict[str, list[str]] = {}
    for point in entry_points(group=GROUP):
        addresses = names.setdefault(point.name, [])
        if point.value not in addresses:  # one installation may be listed twice
            addresses.append(point.value)
    return names


def _only(name: str, addresses: list[str]) -> str:
    if len(addresses) > 1:
        raise ConfigError(
            f"Several packages publish a recipe {name!r}. Give its address: {', '.join(addresses)}."
        )
    return addresses[0]


def _at(word: str) -> Recipe[Any]:
    """The recipe at an address, if it is one that the commands can use."""
    expected = "a Recipe (from homeostat import Recipe)"
    recipe: Recipe[Any] = load(word, expected, lambda value: isinstance(value, Recipe))
    if not _NAME.fullmatch(recipe.name) or recipe.name == "run":
        raise ConfigError(
            f"The recipe {word} is called {recipe.name!r}. Runs and flags are named after it: "
            "use letters, digits, _ and - only, a letter first, and not the word run."
        )
    _check_config(word, recipe.config)
    return dataclasses.replace(recipe, address=str(parse(word)))


def _check_config(word: str, kind: Any) -> None:
    """Whoever writes a recipe meets these three rules here, not as an error of the command line's library."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ConfigError(
            f"The configuration of the recipe {word} is {kind!r}; expected a dataclass, "
            "such as @dataclass(frozen=True, kw_only=True) class Config."
        )
    fields = dataclasses.fields(kind)
    if "fit" not in [field.name for field in fields]:
        raise ConfigError(
            f"The configuration {kind.__name__} of the recipe {word} has no field `fit`. "
            "Add the settings of training: fit: Settings = field(default_factory=Settings)."
        )
    nothing = dataclasses.MISSING
    bare = [f.name for f in fields if f.default is nothing and f.default_factory is nothing]
    if bare:
        raise ConfigError(
            f"The configuration {kind.__name__} of the recipe {word} has no default for {', '.join(bare)}. "
            "Give each field one: a recipe trains without any flag."
        )
