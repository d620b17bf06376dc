"""Code of the user's own in a configuration: its addresses hold from any folder, and its files are digested."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from homeostat import audits, guards
from homeostat.methods.seat import network_class
from homeostat.plugin.address import is_address, parse
from homeostat.plugin.digest import digests
from homeostat.recipes.recipe import Recipe


def _load_networks(words: Sequence[str]) -> None:
    for word in words:
        network_class(word)


# Settings that hold addresses -> what loads them, so that a wrong one is refused before the run is made.
LOADERS: Mapping[str, Callable[[Sequence[str]], object]] = {
    "guard": guards.own,
    "audit": audits.own,
    "network": _load_networks,
}


def absolute(config: Any) -> Any:
    """The same configuration with addresses that hold from any folder."""
    changed: dict[str, Any] = {}
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if dataclasses.is_dataclass(value):
            changed[part.name] = absolute(value)
        elif addresses := _addresses(part.name, value):
            # Absolute: a run may be resumed from any folder.
            whole = tuple(str(parse(word)) for word in addresses)
            changed[part.name] = whole if isinstance(value, tuple) else whole[0]
    return dataclasses.replace(config, **changed) if changed else config


def digests_of(recipe: Recipe[Any], config: Any) -> dict[str, str]:
    """File -> digest of all code of the user's own that a run needs; each piece of it is loaded once, as a test."""
    words = [recipe.address] if recipe.address else []
    for name, addresses in _found(config):
        LOADERS[name](addresses)
        words += addresses
    return digests(dict.fromkeys(words))


def _found(config: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield each setting that holds addresses, with these."""
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if dataclasses.is_dataclass(value):
            yield from _found(value)
        elif addresses := _addresses(part.name, value):
            yield part.name, addresses


def _addresses(name: str, value: Any) -> list[str]:
    """The addresses in a setting. A network may also have a name of ours; a guard and an audit have addresses alone."""
    if name not in LOADERS:
        return []
    words = list(value) if isinstance(value, tuple) else [value]
    return [word for word in words if name != "network" or is_address(word)]
