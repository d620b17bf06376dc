"""Finds inputs that are the target under another name, such as the duration of a complete discharge.

Rank agreement alone cannot tell: time itself orders a battery's fade as well as its capacity does. A disguise also
follows the target's small ups and downs, so what is left after interpolating between the neighbours in time
must agree as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from homeostat.data.ragged import Array

# On NASA's cells B0005 to B0007 the duration of the complete discharge reaches 0.997 and 0.37 to 0.49, the time under
# load 0.999 and 0.47 to 0.99; time, cycle number and resistances stay below 0.994.
LEVELS = 0.995
RIPPLES = 0.35
# Independent ripples of n steps agree by 1 / sqrt(n) at random; three times that is no accident.
CHANCE = 3.0
FEWEST_STEPS = 10
SHARE_OF_SUBJECTS = 0.25


@dataclass(frozen=True, kw_only=True)
class Flag:
    """An input that is the target in disguise in `subjects` of the `estimable` ones."""

    name: str
    target: str
    unit: str
    """The word for subjects, such as cells."""
    subjects: int
    estimable: int
    rank_correlation: float

    def __str__(self) -> str:
        return (
            f"Input {self.name} orders the steps of {self.subjects} of {self.estimable} {self.unit} as "
            f"{self.target} does, ups and downs included (|Spearman| {self.rank_correlation:.4f}): it is the target "
            "in disguise, known only when the target is."
        )


def flags(
    columns: Mapping[str, Array],
    target: Array,
    time: Array,
    lengths: Array,
    *,
    target_name: str,
    unit: str = "subjects",
) -> tuple[Flag, ...]:
    """One flag per input that gives the target away in a quarter of the subjects or more.

    Inputs, target and time are (N,): the steps of one subject after those of another, `lengths` of them each.
    """
    flagged = []
    spans = [slice(end - steps, end) for end, steps in zip(np.cumsum(lengths), lengths, strict=True)]
    for name, values in columns.items():
        judged = [judge(values[span], target[span], time[span]) for span in spans]
        estimable = [value for value in judged if value is not None]
        disguised = [value for value in estimable if value > LEVELS]
        if disguised and len(disguised) >= SHARE_OF_SUBJECTS * len(estimable):
            flagged.append(
                Flag(
                    name=name,
                    target=target_name,
                    unit=unit,
                    subjects=len(disguised),
                    estimable=len(estimable),
                    rank_correlation=float(np.median(disguised)),
                )
            )
    return tuple(flagged)


def judge(values: Array, target: Array, time: Array) -> float | None:
    """|Spearman| of the levels, or 0 when the ripples disagree; None when there is too little to judge by."""
    known = np.isfinite(values) & np.isfinite(target)
    x, y, t = values[known], target[known], time[known]
    if len(x) < FEWEST_STEPS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    shared = abs(spearman(ripple(x, t), ripple(y, t)))
    return abs(spearman(x, y)) if shared > max(RIPPLES, CHANCE / np.sqrt(len(x) - 2)) else 0.0


def ripple(values: Array, time: Array) -> Array:
    """Each inner value less the straight line in time between its neighbours."""
    whole, part = time[2:] - time[:-2], time[1:-1] - time[:-2]
    share = np.divide(part, whole, out=np.full(len(part), 0.5), where=whole > 0)
    return np.asarray(values[1:-1] - (values[:-2] + share * (values[2:] - values[:-2])))


def spearman(x: Array, y: Array) -> float:
    """Ranks with ties at their middle; 0 when one side does not vary."""
    a, b = rank(x), rank(y)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0


def rank(values: Array) -> Array:
    """As scipy.stats.rankdata, whose import would cost more than the whole preparation."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place])
