"""Are there enough cases to speak of? A score with fewer than ten positives is noise, whatever its digits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from homeostat.audits.base import Audit, Case, Finding
from homeostat.errors import DataError
from homeostat.evaluate import predictions
from homeostat.evaluate.score import MINIMUM_EVENTS


def _check_predictions(case: Case) -> Finding | None:
    assert case.run is not None
    rare: dict[str, int] = {}
    for file in sorted(case.run.predictions.glob("*.parquet")):
        try:
            told = predictions.read(file)
        except DataError:
            continue  # not in the common format; what reads it says so
        if told.kind == "regression" or told.split not in ("test", "valid"):
            continue
        rare |= _rare(told.targets, [f"{name} ({told.split})" for name in told.names])
    return _finding(rare, support.name) if rare else None


def _check_labels(case: Case) -> Finding | None:
    rare: dict[str, int] = {}
    for part, targets in case.labels.items():
        rare |= _rare(targets, [f"target {column} ({part})" for column in range(targets.shape[1])])
    return _finding(rare, cases.name) if rare else None


def _check_training(case: Case) -> Finding | None:
    targets = case.targets
    assert targets is not None
    if case.start != "binary":
        return None
    names = [f"target {column}" for column in range(targets.shape[1])]
    single = [name for column, name in enumerate(names) if len(np.unique(_known(targets[:, column]))) < 2]
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


support = Audit(
    name="support",
    law="A score has at least ten cases of each class.",
    needs=("run",),
    check=_check_predictions,
)
cases = Audit(
    name="cases",
    law="Each split that will be scored holds at least ten cases of each class.",
    needs=("labels",),
    check=_check_labels,
)
one_class = Audit(
    name="one_class",
    law="Training labels of every target hold both classes.",
    needs=("targets", "start"),
    check=_check_training,
)
