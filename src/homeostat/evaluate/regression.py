"""Score predicted numbers: errors over all rows and subject by subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from homeostat.evaluate import bootstrap, weighted
from homeostat.evaluate.bootstrap import RESAMPLES, Floats
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import Score

_COLUMNS = (
    "rows",
    "error",
    "absolute",
    "square",
    "relative",
    "truth",
    "truth square",
    "subject",
    "rmse",
    "mae",
)


def _rmse(s: Floats) -> Floats:
    return np.asarray(np.sqrt(s[3] / s[0]), np.float64)


def _r2(s: Floats) -> Floats:
    return np.asarray(1 - s[3] / (s[6] - s[5] ** 2 / s[0]), np.float64)


SCORES: Mapping[str, Callable[[Floats], Floats]] = {
    "rmse": _rmse,
    "mae": lambda s: s[2] / s[0],
    "mape": lambda s: 100 * s[4] / s[0],
    "r2": _r2,
    "mean error": lambda s: s[1] / s[0],
    "rmse per subject": lambda s: s[8] / s[7],
    "mae per subject": lambda s: s[9] / s[7],
}
"""Each score as a function of the weighted sums of `_COLUMNS`.

A score "per subject" averages each subject's own error, however many rows the subject has.
"""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The errors of one subject."""

    subject: str
    n: int
    rmse: float
    mae: float
    mean_error: float
    worst: float


def scores(
    p: Predictions, *, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> tuple[Score, ...]:
    """Compute every score of every numeric target."""
    single = [_of_one(p.one(name), resamples=resamples, seed=seed, level=level) for name in p.names]
    return tuple(score for target in single for score in target)


def per_subject(p: Predictions) -> tuple[Subject, ...]:
    """Return the errors of each subject, worst first."""
    error = p.output - p.truth
    rows = [(str(name), error[p.subjects == name]) for name in np.unique(p.subjects)]
    table = [
        Subject(
            subject=name,
            n=len(e),
            rmse=float(np.sqrt(np.mean(e**2))),
            mae=float(np.abs(e).mean()),
            mean_error=float(e.mean()),
            worst=float(np.abs(e).max()),
        )
        for name, e in rows
    ]
    return tuple(sorted(table, key=lambda row: -row.rmse))


def _of_one(p: Predictions, *, resamples: int, seed: int, level: float) -> tuple[Score, ...]:
    # One row has no spread to compare with.
    if len(p) < 2:
        return tuple(_score(p, name, note=f"only {len(p)} rows with a known truth") for name in SCORES)
    sums = subject_sums(p.truth, p.output, p)
    trivial = _trivials(p)
    statistics = {name: weighted.of_sums(sums, combine) for name, combine in SCORES.items()}
    drawn = bootstrap.resample(np.arange(len(sums)), statistics, resamples=resamples, seed=seed)
    result = []
    for name, statistic in statistics.items():
        value = weighted.value(statistic, len(sums))
        interval = bootstrap.percentile(drawn[name], subjects=len(sums), level=level)
        if not np.isfinite(value):
            result.append(_score(p, name, note="undefined: a truth of zero or one without spread"))
            continue
        facts = {"low": interval.low, "high": interval.high, "trivial": trivial[name], "level": level}
        result.append(_score(p, name, value=value, note=interval.note, method=_method(p), **facts))
    return tuple(result)


def subject_sums(truth: Floats, output: Floats, p: Predictions) -> Floats:
    """Sum `_COLUMNS` for each subject: the bootstrap then handles subjects, not rows."""
    error = output - truth
    with np.errstate(divide="ignore", invalid="ignore"):
        # Infinite where a truth is zero; the score is then reported as undefined.
        relative = np.abs(error / truth)
    columns = [np.ones_like(error), error, np.abs(error), error**2, relative, truth, truth**2]
    _, subject = np.unique(p.subjects, return_inverse=True)
    sums = np.stack([np.bincount(subject, weights=column) for column in columns], axis=1)
    rmse, mae = np.sqrt(sums[:, 3] / sums[:, 0]), sums[:, 2] / sums[:, 0]
    return np.column_stack([sums, np.ones(len(sums)), rmse, mae])


def _trivials(p: Predictions) -> dict[str, float]:
    """Return each score of the best constant: the mean for squares, the median for absolute errors."""
    mean, median = np.full_like(p.truth, p.truth.mean()), np.full_like(p.truth, np.median(p.truth))
    of_mean, of_median = (subject_sums(p.truth, constant, p).sum(axis=0) for constant in (mean, median))
    # The median is the best constant for absolute errors, the mean for squares.
    absolute = ("mae", "mape", "mae per subject")
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            name: float(combine(of_median if name in absolute else of_mean))
            for name, combine in SCORES.items()
        }


def _method(p: Predictions) -> str:
    return "bootstrap" + (", clustered by subject" if len(np.unique(p.subjects)) < len(p) else "")


def _score(
    p: Predictions, name: str, *, value: float | None = None, note: str, **facts: float | str | None
) -> Score:
    return Score(
        name=name,
        value=value,
        n=len(p),
        subjects=len(np.unique(p.subjects)),
        split=p.split,
        note=note,
        model=p.model,
        target=p.names[0],
        unit={"mape": "%", "r2": ""}.get(name, p.unit),
        better={"r2": "higher", "mean error": "neither"}.get(name, "lower"),  # type: ignore[arg-type]  # literals
        **facts,  # type: ignore[arg-type]  # low, high, trivial, level are numbers and method a string
    )
