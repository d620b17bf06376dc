"""There are enough cases to speak of: a score with fewer than ten positives is noise, whatever its digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Folder
from homeostat.errors import DataError
from homeostat.evaluate import predictions
from homeostat.evaluate.score import MINIMUM_EVENTS
from homeostat.run import sealed


@dataclass(frozen=True)
class TrainingLabels:
    """Binary targets of the training part."""

    absent: ClassVar[str] = "no class labels are at hand"

    targets: NDArray[np.float64]
    """(n, k), NaN where unknown."""


@dataclass(frozen=True, kw_only=True)
class ScoredLabels:
    """Binary targets of a part that is scored."""

    absent: ClassVar[str] = "no class labels of a scored split are at hand"

    split: str
    targets: NDArray[np.float64]
    """(n, k), NaN where unknown."""


def labels_of(
    train: NDArray[np.float64], scored: Mapping[str, NDArray[np.float64]]
) -> tuple[TrainingLabels | ScoredLabels, ...]:
    """Return the labels of the training part, and of each scored part that has any."""
    parts = (ScoredLabels(split=part, targets=labels) for part, labels in scored.items() if len(labels))
    return (TrainingLabels(train), *parts)


@law("A score has at least ten cases of each class.")
def support(folder: Folder) -> Finding | None:
    rare: dict[str, int] = {}
    for file in sealed.files(folder.run.predictions, "*.parquet"):
        try:
            outcome = predictions.read(file)
        except DataError:
            continue  # not in the common format; what reads it says so
        if outcome.kind == "regression" or outcome.split not in ("test", "valid"):
            continue
        rare |= _rare(outcome.targets, [f"{name} ({outcome.split})" for name in outcome.names])
    return _finding(rare, support.name) if rare else None


@law("Each split that will be scored holds at least ten cases of each class.")
def cases(labels: tuple[ScoredLabels, ...]) -> Finding | None:
    rare: dict[str, int] = {}
    for part in labels:
        names = [f"target {column} ({part.split})" for column in range(part.targets.shape[1])]
        rare |= _rare(part.targets, names)
    return _finding(rare, cases.name) if rare else None


@law("Training labels of every target hold both classes.")
def one_class(labels: TrainingLabels) -> Finding | None:
    columns = [_known(column) for column in labels.targets.T]
    single = [f"target {number}" for number, known in enumerate(columns) if len(np.unique(known)) < 2]
    if not single:
        return None
    return Finding(
        audit=one_class.name,
        severity="fatal",
        what=f"Among the known training labels of {', '.join(single[:4])} there is one class only.",
        evidence={"targets": len(single)},
        cause="Blank was read as unknown where it means no (or the other way round), so that only one answer is left.",
        advice="Decide per data set what a blank means, write it down, and leave targets without both classes out.",
    )


def _rare(targets: NDArray[np.float64], names: list[str]) -> dict[str, int]:
    counts = {}
    for column, name in enumerate(names):
        known = _known(targets[:, column])
        # Positives or negatives, whichever are fewer: both enter the variance of an AUROC as 1 / n.
        fewest = int(min(known.sum(), len(known) - known.sum()))
        if fewest < MINIMUM_EVENTS:
            counts[name] = fewest
    return counts


def _known(column: NDArray[np.float64]) -> NDArray[np.float64]:
    return column[np.isfinite(column)]


def _finding(rare: dict[str, int], audit: str) -> Finding:
    listed = ", ".join(f"{name}: {count}" for name, count in list(rare.items())[:6])
    return Finding(
        audit=audit,
        severity="serious",
        what=f"{len(rare)} targets have fewer than {MINIMUM_EVENTS} cases of one class ({listed}): not estimable.",
        evidence=dict(rare),
        cause="The evaluated set is small and the class is rare.",
        advice="Leave these classes out of means, say how many cases there are, or evaluate on more data.",
    )
