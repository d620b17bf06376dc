"""Profiles of the variables of a data set, and what changed between those of training and those of new data.

A profile is plain JSON in the `meta` of a store: the unit, how many values there are, and some of their quantiles.
Another hospital moves a median by a tenth; another unit, sensor or column moves it out of all that was seen before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from homeostat.data.ragged import Array

LEVELS = (0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999)
PROFILE = "profiles"
"""The name of the profiles in the `meta` of a store."""
# Of fewer values no median is known.
FEWEST = 3
# From so many subjects on a median tells of the population, and no longer of some patients.
MANY_SUBJECTS = 20
# Medians of the same variable in two hospitals lie within a factor of 1.25 (log/icu.md).
SAME = math.log(1.25)


def profile(
    name: str,
    values: Array,
    *,
    subjects: int,
    unit: str = "",
    others: Sequence[tuple[str, float, float]] = (),
    **counts: Any,
) -> dict[str, Any]:
    """Describe one variable. `others` are units as (name, factor, shift): factor * (value + shift) is in `unit`."""
    known = values[np.isfinite(values)]
    points = np.quantile(known, LEVELS).tolist() if len(known) else []
    return {
        "variable": name,
        "unit": unit,
        "others": [list(other) for other in others],
        "subjects": subjects,
        "kept": len(known),
        "points": points,
        **counts,
    }


def median(row: Mapping[str, Any]) -> float:
    return float(row["points"][LEVELS.index(0.5)]) if row["points"] else math.nan


@dataclass(frozen=True, kw_only=True)
class Change:
    """One variable whose new values are not those of training."""

    variable: str
    unit: str
    before: float
    after: float
    likely: str = ""
    """The unit that the new values seem to be in."""

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        likely = f"; in {self.likely} it would fit" if self.likely else ""
        return (
            f"{self.variable} has a median of {self.after:.4g} in the new data and of {self.before:.4g}{unit} in "
            f"those of training{likely}."
        )


def changes(trained: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Compare the variables that both have. Subjects differ, so a median may lie anywhere among those seen before."""
    known = {str(row["variable"]): row for row in trained}
    compared = (_change(known[str(row["variable"])], row) for row in new if str(row["variable"]) in known)
    return [change for change in compared if change is not None]


def _change(old: Mapping[str, Any], new: Mapping[str, Any]) -> Change | None:
    if min(old["kept"], new["kept"]) < FEWEST:
        return None
    before, after = median(old), median(new)
    likely = _likely(old, after) if old["unit"] == new["unit"] else ""
    bulk = (old["points"][LEVELS.index(0.05)], old["points"][LEVELS.index(0.95)])
    if new["subjects"] >= MANY_SUBJECTS:
        is_other = bool(likely) or not bulk[0] <= after <= bulk[1]
    else:
        # Some patients: all of what they show lies outside all but the rarest of what was seen.
        low, high = new["points"][LEVELS.index(0.05)], new["points"][LEVELS.index(0.95)]
        is_other = low > old["points"][-1] or high < old["points"][0]
        is_other |= bool(likely) and not old["points"][1] <= after <= old["points"][-2]
    if not is_other:
        return None
    return Change(
        variable=str(new["variable"]), unit=str(old["unit"]), before=before, after=after, likely=likely
    )


def _likely(old: Mapping[str, Any], after: float) -> str:
    """The unit in which a median would be the one of training, and is not as it stands."""
    before = median(old)
    far = _apart(after, before)
    fits = {name: _apart(factor * (after + shift), before) for name, factor, shift in old["others"]}
    best = min(fits, key=lambda name: fits[name], default="")
    return best if best and far > 2 * SAME and fits[best] < 0.5 * far else ""


def _apart(one: float, other: float) -> float:
    return abs(math.log(one / other)) if one > 0 and other > 0 else math.inf
