"""Code of the user's own in a configuration: its addresses hold from any folder, and its files are digested."""

from __future__ import annotations

import dataclasses
from typing import Any

from homeostat import audits, guards
from homeostat.engine.settings import Settings
from homeostat.plugin.address import parse
from homeostat.plugin.digest import digests
from homeostat.recipes.recipe import Recipe


def absolute(config: Any) -> Any:
    """The same configuration with addresses that hold from any folder."""
    changed: dict[str, Any] = {}
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if isinstance(value, Settings) and (value.guard or value.audit):
            guard, audit = (tuple(str(parse(word)) for word in words) for words in (value.guard, value.audit))
            changed[part.name] = dataclasses.replace(value, guard=guard, audit=audit)
    return dataclasses.replace(config, **changed) if changed else config


def digests_of(recipe: Recipe[Any], config: Any) -> dict[str, str]:
    """File -> digest of all code of the user's own that a run needs; each piece of it is loaded once, as a test."""
    settings = [getattr(config, part.name) for part in dataclasses.fields(config)]
    words = [recipe.address] if recipe.address else []
    for value in settings:
        if isinstance(value, Settings):
            guards.own(value.guard)
            audits.own(value.audit)
            words += [*value.guard, *value.audit]
    return digests(dict.fromkeys(words))
