"""Score every subgroup as if it were alone; suppress groups that are too small."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from homeostat.errors import ConfigError
from homeostat.evaluate import binary, calibration, regression
from homeostat.evaluate.bootstrap import RESAMPLES
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import Score, too_few

MINIMUM_SUBJECTS = 20
"""Smaller groups are suppressed whole, their counts too: a score of a few patients is noise and may name them."""


def scores(
    p: Predictions,
    *,
    columns: tuple[str, ...] = (),
    minimum: int = MINIMUM_SUBJECTS,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Score, ...]:
    """Compute AUROC and calibration intercept, or the RMSE of a regression, in every level of every group."""
    p = p.one(p.names[0])
    result: list[Score] = []
    for column in columns or tuple(p.groups):
        if column not in p.groups:
            raise ConfigError(f"There is no group {column!r}. Known: {', '.join(p.groups) or 'none'}.")
        for label in np.unique(p.groups[column]):
            inside = p.take(p.groups[column] == label)
            name = f"{column}={label}"
            # Subjects, not rows: many rows of one patient are still one patient.
            if len(np.unique(inside.subjects)) < minimum:
                result.append(_suppressed(p, name, minimum))
                continue
            result += [replace(score, group=name) for score in _scores(inside, resamples, seed, level)]
    return tuple(result)


def _scores(p: Predictions, resamples: int, seed: int, level: float) -> tuple[Score, ...]:
    if p.kind == "regression":
        errors = regression.scores(p, resamples=resamples, seed=seed, level=level)
        return tuple(score for score in errors if score.name == "rmse")
    positives = int(p.truth.sum())
    area = binary.auroc(p, level)
    if too_few(positives, len(p) - positives):
        return (area,)
    # The intercept, not the slope: a group whose risk is wrong on average is the fault that decisions meet.
    return (area, calibration.recalibration(p, level)[1])


def _suppressed(p: Predictions, group: str, minimum: int) -> Score:
    return Score(
        name="rmse" if p.kind == "regression" else "auroc",
        value=None,
        n=0,
        subjects=0,
        split=p.split,
        note=f"suppressed: fewer than {minimum} subjects",
        model=p.model,
        target=p.names[0],
        group=group,
        better="lower" if p.kind == "regression" else "higher",
    )
