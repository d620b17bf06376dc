"""Turn a frozen configuration into JSON and back without loss."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

from homeostat.errors import ConfigError, did_you_mean

T = TypeVar("T")

# JSON has no numbers for these (RFC 8259, section 6); as text they survive any reader.
_SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bound:
    """The values that a setting may take, declared beside its field: `folds: Annotated[int, Bound(at_least=2)] = 5`."""

    at_least: float = -math.inf
    above: float = -math.inf
    below: float = math.inf
    at_most: float = math.inf
    unit: str = ""
    why: str = ""
    """Ends the sentence of refusal: the meaning of a value outside, or the value that switches the setting off."""

    def holds(self, value: float) -> bool:
        return self.at_least <= value <= self.at_most and self.above < value < self.below

    def __str__(self) -> str:
        if self == Bound(at_least=0, why=self.why):
            return f"must not be negative{self.why}."
        words = {
            "at least": self.at_least,
            "more than": self.above,
            "below": self.below,
            "at most": self.at_most,
        }
        limits = " and ".join(f"{word} {value:g}" for word, value in words.items() if math.isfinite(value))
        return f"must be {limits}{self.unit}{self.why}."


Count = Annotated[int, Bound(at_least=1)]
Amount = Annotated[float, Bound(at_least=0)]
Share = Annotated[float, Bound(at_least=0, below=1)]


def check_bounds(config: Any) -> None:
    """Refuse a value outside the bound that is declared beside its field. None is a value that was not chosen."""
    for name, hint in typing.get_type_hints(type(config), include_extras=True).items():
        value = getattr(config, name)
        for bound in getattr(hint, "__metadata__", ()):
            if isinstance(bound, Bound) and value is not None and not bound.holds(value):
                raise ConfigError(f"{name} {value} {bound}")


def to_plain(value: Any) -> Any:
    """Turn a configuration into what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ConfigError(f"{value!r} cannot be written into a configuration file; use numbers, text and tuples.")


def from_plain(kind: type[T], plain: Any, where: str = "") -> T:
    """Rebuild a configuration of this type; name the key that is unknown or of the wrong type."""
    result: T = _decode(kind, plain, where)
    return result


def _decode(kind: Any, plain: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _decode(arguments[0], plain, where)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, plain, where)
    if origin is Literal:
        return _decode_choice(arguments, plain, where)
    if origin in (Union, types.UnionType):
        return _decode_union(arguments, plain, where)
    if origin is tuple:
        return _decode_tuple(arguments, plain, where)
    return _decode_leaf(kind, plain, where)


def _decode_dataclass(kind: type, plain: Any, where: str) -> Any:
    if not isinstance(plain, Mapping):
        raise ConfigError(
            f"{where or 'The configuration'} is {plain!r}; expected the settings of {kind.__name__}."
        )
    hints = typing.get_type_hints(kind, include_extras=True)
    for key in plain:
        if key not in hints:
            path = f"{where}.{key}" if where else key
            raise ConfigError(f"Unknown setting {path!r}.{did_you_mean(key, hints)}")
    given = {
        key: _decode(hints[key], item, f"{where}.{key}" if where else key) for key, item in plain.items()
    }
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.name not in given
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where or kind.__name__} lacks the settings {', '.join(missing)}.")
    return kind(**given)


def _decode_choice(choices: Sequence[Any], plain: Any, where: str) -> Any:
    for choice in choices:
        if plain == choice and type(plain) is type(choice):
            return choice
    words = ", ".join(repr(choice) for choice in choices)
    raise ConfigError(f"{where} is {plain!r}; expected one of {words}.{_nearest(plain, choices)}")


def _nearest(plain: Any, choices: Sequence[Any]) -> str:
    hint = did_you_mean(str(plain), [str(choice) for choice in choices])
    return hint if hint.startswith(" Did") else ""


def _decode_union(arguments: Sequence[Any], plain: Any, where: str) -> Any:
    if plain is None and type(None) in arguments:
        return None
    errors = []
    for kind in arguments:
        try:
            return _decode(kind, plain, where)
        except ConfigError as error:
            errors.append(str(error))
    raise ConfigError(errors[0])


def _decode_tuple(arguments: Sequence[Any], plain: Any, where: str) -> Any:
    if not isinstance(plain, list | tuple):
        raise ConfigError(f"{where} is {plain!r}; expected a list.")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_decode(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(plain))
    if len(arguments) != len(plain):
        raise ConfigError(f"{where} has {len(plain)} entries; expected {len(arguments)}.")
    pairs = zip(arguments, plain, strict=True)
    return tuple(_decode(kind, item, f"{where}[{i}]") for i, (kind, item) in enumerate(pairs))


def _decode_leaf(kind: Any, plain: Any, where: str) -> Any:
    if kind is float and isinstance(plain, str) and plain in _SPECIAL:
        return _SPECIAL[plain]
    if kind is float and isinstance(plain, int | float) and not isinstance(plain, bool):
        return float(plain)
    if kind is Path and isinstance(plain, str):
        return Path(plain)
    if kind in (bool, int, str) and type(plain) is kind:
        return plain
    if kind is type(None) and plain is None:
        return None
    name = getattr(kind, "__name__", str(kind))
    raise ConfigError(f"{where} is {plain!r}; expected {name}.")


def changed_keys(one: Any, other: Any, where: str = "") -> list[str]:
    """Say key by key where two plain configurations differ."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        keys = [*one, *(key for key in other if key not in one)]
        paths = {key: f"{where}.{key}" if where else str(key) for key in keys}
        parts = [changed_keys(one.get(key), other.get(key), paths[key]) for key in keys]
        return [line for part in parts for line in part]
    return [] if one == other else [f"{where}: {one!r} -> {other!r}"]
