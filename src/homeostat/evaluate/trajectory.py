"""Score predicted curves against true ones, subject by subject and along time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homeostat.errors import DataError
from homeostat.evaluate import bootstrap, weighted
from homeostat.evaluate.bootstrap import RESAMPLES, Floats
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import Score


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One subject's rows in order of time."""

    subject: str
    time: Floats
    truth: Floats
    output: Floats

    @property
    def rmse(self) -> float:
        return float(np.sqrt(np.mean((self.output - self.truth) ** 2)))


def curves(p: Predictions) -> tuple[Curve, ...]:
    """Return every subject's curve, in the order of the subjects' names."""
    time = _time(p)
    p = p.one(p.names[0]) if len(p.names) == 1 else p
    result = []
    for subject in np.unique(p.subjects):
        rows = np.flatnonzero(p.subjects == subject)
        rows = rows[np.argsort(time[rows], kind="stable")]
        curve = Curve(subject=str(subject), time=time[rows], truth=p.truth[rows], output=p.output[rows])
        result.append(curve)
    return tuple(result)


def along(
    p: Predictions, *, parts: int = 5, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> tuple[Score, ...]:
    """Compute the RMSE in equal parts of each subject's own span of time, to show an error that grows."""
    share = _share_of_span(p)
    # The last point has share 1 and would begin a part of its own.
    part = np.minimum((share * parts).astype(int), parts - 1)
    result = []
    for k in range(parts):
        inside = p.take(part == k)
        label = f"rmse at {100 * k // parts}-{100 * (k + 1) // parts} % of the span"
        if len(inside) >= 2:
            result.append(_rmse(inside, label, resamples=resamples, seed=seed, level=level))
    return tuple(result)


def at_end(p: Predictions, *, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95) -> Score:
    """Compute the RMSE of the last points of all subjects."""
    last = [
        np.flatnonzero(p.subjects == s)[np.argmax(_time(p)[p.subjects == s])] for s in np.unique(p.subjects)
    ]
    return _rmse(
        p.take(np.array(last)), "rmse of the last point", resamples=resamples, seed=seed, level=level
    )


def _rmse(p: Predictions, name: str, *, resamples: int, seed: int, level: float) -> Score:
    square = np.column_stack([(p.output - p.truth) ** 2, np.ones(len(p))])
    statistic = weighted.of_sums(square, lambda sums: np.asarray(np.sqrt(sums[0] / sums[1]), np.float64))
    drawn = bootstrap.resample(p.subjects, {name: statistic}, resamples=resamples, seed=seed)[name]
    subjects = len(np.unique(p.subjects))
    interval = bootstrap.percentile(drawn, subjects=subjects, level=level)
    return Score(
        name=name,
        value=weighted.value(statistic, len(p)),
        low=interval.low,
        high=interval.high,
        n=len(p),
        subjects=subjects,
        method="bootstrap, clustered by subject",
        split=p.split,
        trivial=float(p.truth.std()),  # the RMSE of the best constant
        note=interval.note,
        model=p.model,
        target=p.names[0],
        unit=p.unit,
        better="lower",
        level=level,
    )


def _share_of_span(p: Predictions) -> Floats:
    time = _time(p)
    share = np.zeros(len(p))
    for subject in np.unique(p.subjects):
        rows = p.subjects == subject
        start, end = time[rows].min(), time[rows].max()
        share[rows] = (time[rows] - start) / (end - start) if end > start else 0.0
    return share


def _time(p: Predictions) -> Floats:
    if p.time is None:
        raise DataError(f"The predictions of {p.model} have no time column, so they are no trajectories.")
    return p.time
