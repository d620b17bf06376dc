"""The form of every battery data set: cells with their own times, a target and inputs per step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from homeostat.data.drift import PROFILE, profile
from homeostat.data.ragged import Array, Ragged, offsets_of
from homeostat.data.store import Writer
from homeostat.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """C cells, N steps in all; the steps of a cell are contiguous and in order of time."""

    source: str
    cells: tuple[str, ...]
    steps: Array
    """Steps per cell, (C,)."""
    time: Array
    """(N,), in `time_unit`, never falling within a cell."""
    time_unit: str
    target: Array
    """(N,); NaN where no sound value is known, which masks the step out of losses and scores."""
    target_name: str
    inputs: Array
    """(N, F); NaN where not measured."""
    input_names: tuple[str, ...]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    """Further arrays, their first axis being N or C; NaN means not measured."""
    counts: Mapping[str, int] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def write(self, writer: Writer) -> None:
        """Arrays of the store: cell (C,); ragged over cells time, target, inputs; the further ones by name."""
        offsets = offsets_of(self.steps)
        writer.array("cell", np.array(self.cells))
        writer.ragged("time", Ragged(self.time.astype(np.float64), offsets))
        writer.ragged("target", Ragged(self.target.astype(np.float32), offsets), missing_allowed=True)
        writer.ragged("inputs", Ragged(self.inputs.astype(np.float32), offsets), missing_allowed=True)
        for name, values in self.arrays.items():
            if len(values) == len(self.time) != len(self.cells):
                writer.ragged(name, Ragged(values, offsets), missing_allowed=True)
            else:
                writer.array(name, values, missing_allowed=True)
        writer.meta.update(
            source=self.source,
            time_unit=self.time_unit,
            target_name=self.target_name,
            input_names=list(self.input_names),
            **self.meta,
        )
        writer.meta[PROFILE] = [
            profile(name, column, subjects=len(self.cells))
            for name, column in zip(self.input_names, self.inputs.T, strict=True)
        ]
        writer.count_all(self.counts)
        writer.count_all(self.oddities())

    def oddities(self) -> dict[str, int]:
        """Count what no single row shows: repeated times, and targets that do not differ."""
        counts = {}
        starts = np.zeros(len(self.time), np.bool_)
        starts[offsets_of(self.steps)[:-1][self.steps > 0]] = True
        again = int(((np.diff(self.time, prepend=np.nan) == 0) & ~starts).sum())
        if again:
            counts["steps at the same time as the step before them, kept"] = again
        known = self.target[np.isfinite(self.target)]
        if len(known) > 1 and known.min() == known.max():
            counts[f"targets that are all {known[0]:g}: there is nothing to predict"] = len(known)
        return counts


def check_times(cells: Iterable[str], rows: Ragged, unit: str) -> None:
    """An integration runs forward: the times of a cell must not fall."""
    for number, cell in enumerate(cells):
        falls = np.flatnonzero(np.diff(rows[number]) < 0)
        if len(falls):
            step = int(falls[0])
            before, after = rows[number][step : step + 2]
            raise DataError(
                f"The time of cell {cell} falls from {before:g} to {after:g} {unit} at its step {step + 2}. "
                "Times of a cell must be in order; check the time column."
            )
