"""Count each variable's values as they come, and bring them into its unit and range."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import polars as pl

from homeostat.data.drift import profile
from homeostat.data.ragged import Array
from homeostat.recipes.icu import units
from homeostat.recipes.icu.units import USUAL, Unit
from homeostat.recipes.icu.variables import MISSING, Range

Impossible = Literal["clip", "drop"]
# Of so many stays, one alone with a variable is odd.
ENOUGH_STAYS = 10


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """The fate of values: the unit that each variable comes in, and what is done with impossible ones."""

    impossible: Impossible = "clip"
    units: Mapping[str, Unit] = field(default_factory=dict)

    def unit(self, name: str) -> Unit:
        """The unit that a variable comes in."""
        known = units.units(name)
        return self.units.get(name) or (known[0] if known else Unit(""))

    def is_vouched(self, name: str) -> bool:
        """Say whether the user has named the variable's own unit: the values are then right, however odd."""
        return name in self.units and self.units[name] == units.units(name)[0]


@dataclass(frozen=True)
class Tally:
    """Counts of one variable. The tuples have a place for each unit that is known for it."""

    known: int = 0
    missing: int = 0
    outside: int = 0
    stays: int = 0
    stays_outside: int = 0
    fitting: tuple[int, ...] = ()
    """Values that would be inside the range."""
    rescued: tuple[int, ...] = ()
    """Values outside the range that would be inside."""
    votes: tuple[int, ...] = ()
    """Stays whose mean lies nearest to the usual middle in this unit."""

    def __add__(self, other: Tally) -> Tally:
        def plus(one: Any, two: Any) -> Any:
            if isinstance(one, tuple):
                return tuple(a + b for a, b in zip(one, two, strict=True)) if one and two else one or two
            return one + two

        return Tally(*(plus(getattr(self, f.name), getattr(other, f.name)) for f in fields(self)))


def by_variable(variable: Array, count: int) -> Iterator[tuple[int, Array]]:
    """The places of each variable's values. One sort, since a mask per variable would cost their product."""
    order = np.argsort(variable.astype(np.int16), kind="stable")
    ends = np.cumsum(np.bincount(variable, minlength=count))
    for place, end in enumerate(ends):
        yield place, order[(ends[place - 1] if place else 0) : end]


def take(
    name: str, stay: Array, value: Array, limits: Range | None, treatment: Treatment
) -> tuple[Array, Array, Tally]:
    """The values of one variable in its unit and range, the mask of those that are kept, and their counts."""
    low, high = (-math.inf, math.inf) if limits is None else (limits.low, limits.high)
    # The range in single precision, as the values are: 0.21 is not below 0.21.
    low, high = float(np.float32(low)), float(np.float32(high))
    # A declared range that holds -1 makes it a value like any other.
    missing = np.isnan(value) | ((value == MISSING) & (low > MISSING))
    raw = value.astype(np.float64)
    inside = {unit: _is_inside(unit.convert(raw), low, high) & ~missing for unit in units.units(name)}
    unit = treatment.unit(name)
    held = unit.convert(raw)
    odd = ~missing & ~_is_inside(held, low, high)
    tally = Tally(
        known=int((~missing).sum()),
        missing=int(missing.sum()),
        outside=int(odd.sum()),
        stays=len(np.unique(stay[~missing])),
        stays_outside=len(np.unique(stay[odd])),
        fitting=tuple(int(fits.sum()) for fits in inside.values()),
        rescued=tuple(int((fits & odd).sum()) for fits in inside.values()),
        votes=_votes(name, stay[~missing], raw[~missing], unit),
    )
    keep = ~missing & ~odd if treatment.impossible == "drop" else ~missing
    return np.clip(held, low, high).astype(np.float32), keep, tally


def _is_inside(values: Array, low: float, high: float) -> Array:
    inside: Array = (values.astype(np.float32) >= low) & (values.astype(np.float32) <= high)
    return inside


def _votes(name: str, stay: Array, raw: Array, unit: Unit) -> tuple[int, ...]:
    known, rivals = units.units(name), units.rivals(name, unit)
    if not rivals:
        return (0,) * len(known)
    positive = raw > 0
    _, owner = np.unique(stay[positive], return_inverse=True)
    mean = np.exp(np.bincount(owner, np.log(raw[positive])) / np.maximum(np.bincount(owner), 1))
    candidates = (unit, *rivals)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = [np.abs(np.log(one.convert(mean) / USUAL[name].middle)) for one in candidates]
    nearest = np.argmin(np.where(np.isnan(far), np.inf, far), axis=0)
    votes = dict(zip(candidates, np.bincount(nearest, minlength=len(candidates)).tolist(), strict=True))
    return tuple(votes.get(one, 0) for one in known)


def rows(
    tallies: Mapping[str, Tally], values: Mapping[str, Array], treatment: Treatment, names: Iterable[str]
) -> list[dict[str, Any]]:
    """A profile of each variable: how many values came, were missing or impossible, and where those kept lie."""
    return [
        profile(
            name,
            values[name],
            subjects=tallies[name].stays,
            unit=units.units(name)[0].name if units.units(name) else "",
            others=[(unit.name, unit.factor, unit.shift) for unit in units.OTHERS.get(name, ())],
            came=tallies[name].known,
            read_as=treatment.unit(name).name,
            missing=tallies[name].missing,
            outside=tallies[name].outside,
            fate="dropped" if treatment.impossible == "drop" else "clipped",
        )
        for name in names
    ]


def total(parts: Sequence[Mapping[str, Tally]]) -> dict[str, Tally]:
    """The sum of the counts of several parts. No stay is in two."""
    sums: dict[str, Tally] = {}
    for part in parts:
        for name, tally in part.items():
            sums[name] = sums.get(name, Tally()) + tally
    return sums


def rare(series: pl.DataFrame) -> dict[str, int]:
    """Count variables and stays that are there once: words that were misspelt look like that."""
    alone = series.group_by("variable").agg(pl.col("row").n_unique(), pl.len()).filter(pl.col("row") == 1)
    words = sorted(alone["variable"])
    counts = {}
    if words and series["row"].n_unique() >= ENOUGH_STAYS:
        listed = ", ".join(repr(name[:40]) for name in words[:5]) + (", ..." if len(words) > 5 else "")
        counts[f"variables that one stay alone has, kept ({listed})"] = len(words)
    single = int((series.group_by("row").len()["len"] == 1).sum())
    if single and series["row"].n_unique() >= ENOUGH_STAYS:
        counts["stays with one observation alone, kept"] = single
    return counts
