"""The form of every intensive-care data set: stays with static values and irregular observations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from homeostat.data.drift import PROFILE
from homeostat.data.ragged import Array, Ragged, offsets_of
from homeostat.data.store import Writer
from homeostat.errors import DataError
from homeostat.recipes.icu import census, doubt
from homeostat.recipes.icu.census import Tally, Treatment, by_variable
from homeostat.recipes.icu.doubt import SHOWN
from homeostat.recipes.icu.variables import SERIES, STATIC

MINUS_ONE = "values of -1 or not a number, which stand for missing, dropped"

# One integer orders observations by stay, second and variable, so that one sort does it all.
VARIABLE_BITS = 10
SECOND_BITS = 30


@dataclass(frozen=True, kw_only=True)
class Observations:
    """N observations in any order; `stay` and `variable` are places in the lists that go with them."""

    stay: Array
    seconds: Array
    variable: Array
    value: Array


@dataclass(frozen=True, kw_only=True)
class Stays:
    """S stays, K steps in all (a step is a moment with observations), M observations in all."""

    stay: tuple[str, ...]
    subject: tuple[str, ...]
    group: tuple[str, ...]
    """The set that a stay came with ("a", "b", ...), "" where there is none."""
    static: Array
    """(S, static variables), NaN where missing."""
    static_names: tuple[str, ...]
    label: Array
    """(S,) 1 died in hospital, 0 did not, NaN not known."""
    variables: tuple[str, ...]
    observations: tuple[Observations, ...]
    """In parts: no stay is in two, and the stays of a part come after those of the part before it."""
    extra: Mapping[str, Array] = field(default_factory=dict)
    """Further arrays of length S that are never inputs, such as severity scores of the data set."""
    counts: Mapping[str, int] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def write(self, writer: Writer, treatment: Treatment) -> None:
        """Write arrays of length S: stay, subject, group, static, label; and ragged ones over stays.

        These are time_h (one per step) and, one per observation, step (its place among the stay's steps), variable
        and value.
        """
        counts = Counter(self.counts)
        static, described = check_static(self.static, self.static_names, treatment)
        parts, tallies = [], []
        for seen in self.observations:
            known, tally = check_values(seen, self.variables, treatment)
            tallies.append(tally)
            parts.append(merge(known, len(self.stay)))
            counts["values that share a moment with another of their variable, averaged"] += parts[-1].shared
        tally = census.total(tallies)
        doubt.refuse(tally, SERIES, treatment)
        doubt.refuse(described, STATIC, treatment)
        counts.update(self._odd(tally, described, treatment))
        steps = np.sum([part.steps for part in parts], axis=0)
        counts["stays without any series, kept"] = int((steps == 0).sum())
        first, cells = offsets_of(steps), offsets_of(np.sum([part.cells for part in parts], axis=0))
        variable = np.concatenate([part.variable for part in parts])
        value = np.concatenate([part.value for part in parts])
        writer.array("stay", np.array(self.stay))
        writer.array("subject", np.array(self.subject))
        writer.array("group", np.array(self.group))
        writer.array("label", self.label.astype(np.float32), missing_allowed=True)
        writer.array("static", static.astype(np.float32), missing_allowed=True)
        writer.ragged("time_h", Ragged(np.concatenate([part.time_h for part in parts]), first))
        writer.ragged("step", Ragged(np.concatenate([part.step for part in parts]), cells))
        writer.ragged("variable", Ragged(variable, cells))
        writer.ragged("value", Ragged(value, cells))
        for name, values in self.extra.items():
            writer.array(name, values, missing_allowed=True)
        writer.meta.update(
            {"variables": list(self.variables), "static_names": list(self.static_names), **self.meta}
        )
        held = {
            self.variables[place]: value[rows] for place, rows in by_variable(variable, len(self.variables))
        }
        writer.meta[PROFILE] = census.rows(tally, held, treatment, self.variables)
        writer.count_all(counts)

    def _odd(
        self, tally: Mapping[str, Tally], described: Mapping[str, Tally], treatment: Treatment
    ) -> dict[str, int]:
        counts = doubt.phrases(tally, SERIES, treatment)
        # What is known on admission is clipped and never dropped: a stay has one such value.
        clip = replace(treatment, impossible="clip")
        counts |= doubt.phrases(described, STATIC, clip, subject="stays with {} on admission")
        counts[MINUS_ONE] = sum(each.missing for each in tally.values())
        unknown = [name for name in self.variables if name not in SERIES]
        if unknown:
            listed = ", ".join(unknown[:SHOWN]) + (", ..." if len(unknown) > SHOWN else "")
            counts[f"variables without a known unit and range, taken as they are: {listed}"] = len(unknown)
        return counts


def check_values(
    seen: Observations, variables: Sequence[str], treatment: Treatment
) -> tuple[Observations, dict[str, Tally]]:
    """Drop missing values, convert the others, and clip (or drop) those that no body can show."""
    value, keep = np.empty(len(seen.value), np.float32), np.zeros(len(seen.value), np.bool_)
    tallies = {}
    for place, rows in by_variable(seen.variable, len(variables)):
        name = variables[place]
        value[rows], keep[rows], tallies[name] = census.take(
            name, seen.stay[rows], seen.value[rows], SERIES.get(name), treatment
        )
    kept = Observations(
        stay=seen.stay[keep], seconds=seen.seconds[keep], variable=seen.variable[keep], value=value[keep]
    )
    return kept, tallies


@dataclass(frozen=True, kw_only=True)
class Merged:
    """Observations in order of stay, time and variable, one per moment and variable."""

    time_h: Array
    """(K,) time of each step."""
    step: Array
    """(M,) place of the observation's step among the steps of its stay."""
    variable: Array
    value: Array
    steps: Array
    """(S,) steps per stay."""
    cells: Array
    """(S,) observations per stay."""
    shared: int
    """The number of values that shared their moment with another of their variable and went into an average."""


def merge(seen: Observations, stays: int) -> Merged:
    """Sort, and average the values of one variable at one moment."""
    check_limits(seen)
    key = seen.stay.astype(np.int64) << SECOND_BITS
    key |= seen.seconds
    key <<= VARIABLE_BITS
    key |= seen.variable
    value = seen.value
    if (key[1:] < key[:-1]).any():
        # Raw files are nearly in order, where the stable sort is nearly linear.
        order = np.argsort(key, kind="stable")
        key, value = key[order], value[order]
    again = np.flatnonzero(key[1:] == key[:-1]) + 1
    if len(again):
        new = np.ones(len(key), dtype=np.bool_)
        new[again] = False
        group = np.cumsum(new) - 1
        total, size = value[new].astype(np.float64), np.ones(group[-1] + 1)
        np.add.at(total, group[again], value[again])
        np.add.at(size, group[again], 1)
        key, value = key[new], (total / size).astype(np.float32)
    moment = key >> VARIABLE_BITS
    begins = np.ones(len(key), dtype=np.bool_)
    begins[1:] = moment[1:] != moment[:-1]
    starts = moment[begins]
    steps = np.bincount(starts >> SECOND_BITS, minlength=stays)
    stay = moment >> SECOND_BITS
    return Merged(
        time_h=((starts & ((1 << SECOND_BITS) - 1)) / 3600).astype(np.float32),
        step=(np.cumsum(begins) - 1 - offsets_of(steps)[stay]).astype(np.int32),
        variable=(key & ((1 << VARIABLE_BITS) - 1)).astype(np.int16),
        value=value,
        steps=steps,
        cells=np.bincount(stay, minlength=stays),
        shared=len(again),
    )


def check_limits(seen: Observations) -> None:
    """Each part of the key must fit into its bits."""
    late = seen.seconds.max(initial=0) >= 1 << SECOND_BITS or seen.seconds.min(initial=0) < 0
    if late or seen.variable.max(initial=0) >= 1 << VARIABLE_BITS:
        raise DataError(
            f"Times must lie within 0 and {(1 << SECOND_BITS) / 3600:,.0f} h, and there may be "
            f"{1 << VARIABLE_BITS:,} variables. Check the time unit."
        )


def check_static(static: Array, names: Sequence[str], treatment: Treatment) -> tuple[Array, dict[str, Tally]]:
    """(S, names) with -1 as NaN, converted, and impossible values clipped; and the counts."""
    clip = replace(treatment, impossible="clip")
    columns, tallies = [], {}
    for place, name in enumerate(names):
        held = static[:, place].astype(np.float32)
        value, keep, tallies[name] = census.take(name, np.arange(len(held)), held, STATIC.get(name), clip)
        tallies[name] = replace(tallies[name], missing=0)
        columns.append(np.where(keep, value, np.nan))
    return np.stack(columns, axis=1) if columns else static, tallies
