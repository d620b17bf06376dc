"""New data have the medians of the training data: another unit, sensor or column moves one out of all that was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from homeostat.audits.base import Finding, law
from homeostat.data.drift import changes


@dataclass(frozen=True, kw_only=True)
class Populations:
    """The profiles of the variables in two data sets."""

    absent: ClassVar[str] = "no new data to compare with those of training: homeostat doctor RUN --data NEW"

    trained: Sequence[Mapping[str, Any]]
    new: Sequence[Mapping[str, Any]]


@law("A variable of new data has a median among the values of training, in the unit of training.")
def drift(populations: Populations) -> Finding | None:
    moved = changes(populations.trained, populations.new)
    if not moved:
        return None
    likely = [change for change in moved if change.likely]
    return Finding(
        audit="drift",
        severity="serious",
        what=" ".join(map(str, (likely or moved)[:5])),
        evidence={change.variable: change.after for change in moved[:10]},
        cause="Another unit, another sensor or another column."
        if likely
        else "Another population or another column.",
        advice="Bring the new data into the units of training before they are predicted.",
    )
