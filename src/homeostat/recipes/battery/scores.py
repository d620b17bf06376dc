"""The report of a battery run: its scores, and its model against each yard-stick cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from homeostat.evaluate import compare, summary
from homeostat.evaluate.predictions import Predictions
from homeostat.methods import outcome
from homeostat.run import Run

# Cells, not rows: a long record must not outvote a short one.
PER_CELL = "rmse per subject"


def scores(folder: Path) -> Mapping[str, Any]:
    """The contents of metrics.json, from the prediction files alone."""
    answers = outcome.read_all(Run(folder))
    has_curves = any(answer.time is not None for answer in answers)
    metrics = summary.of_run(folder, summary.Settings(headline=PER_CELL if has_curves else "rmse"))
    if has_curves:
        tested = [answer for answer in answers if answer.split == "test"]
        metrics["comparisons"] = [comparison.as_dict() for comparison in per_cell(tested)]
    return metrics


def per_cell(tested: Sequence[Predictions]) -> tuple[compare.Comparison, ...]:
    """The model of the run, which comes first, against each yard-stick; cells are what is resampled."""
    own, *others = tested
    if len(set(own.subjects)) < 2:
        return ()
    return compare.adjusted(
        [
            compare.paired_bootstrap([own.one(name)], [other.one(name)], PER_CELL)
            for other in sorted(others, key=lambda each: each.model)
            for name in own.names
        ]
    )
