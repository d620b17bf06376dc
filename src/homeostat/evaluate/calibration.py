"""Measure calibration: reliability diagram, expected calibration error, slope and intercept.

A model is calibrated when, of 100 people to whom it gives 20 %, the event happens to 20.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from homeostat.evaluate import binary, bootstrap
from homeostat.evaluate.bootstrap import RESAMPLES, Floats, Interval
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import Score, too_few

# An expected calibration error depends on its bins; slope and intercept do not.
BINS = 10
CLIP = 1e-6
"""Probabilities are clipped here before a logit is taken: a model that says 0 has no slope otherwise."""


@dataclass(frozen=True, kw_only=True)
class Bin:
    """One point of the reliability diagram, with Wilson's interval of the observed rate."""

    output: float
    rate: float
    low: float
    high: float
    n: int


def reliability(p: Predictions, bins: int = BINS, level: float = 0.95) -> tuple[Bin, ...]:
    """Return bins of equal counts, from the lowest to the highest output; tied outputs stay together."""
    member = _member(p.output, bins)
    points = []
    for k in np.unique(member):
        inside = member == k
        rate, n = float(p.truth[inside].mean()), int(inside.sum())
        low, high = bootstrap.wilson(rate, len(np.unique(p.subjects[inside])), level)
        points.append(Bin(output=float(p.output[inside].mean()), rate=rate, low=low, high=high, n=n))
    return tuple(points)


def scores(
    p: Predictions, *, bins: int = BINS, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> tuple[Score, ...]:
    """Compute ECE, calibration slope and intercept of one binary target."""
    p = p.one(p.names[0])
    positives = int(p.truth.sum())
    if reason := too_few(positives, len(p) - positives):
        names = ("ece", "calibration slope", "calibration intercept")
        return tuple(binary.score(p, name, None, note=reason, level=level) for name in names)
    error = ece(p, bins=bins, resamples=resamples, seed=seed, level=level)
    return (error, *recalibration(p, level=level))


def ece(
    p: Predictions, *, bins: int = BINS, resamples: int = RESAMPLES, seed: int = 0, level: float = 0.95
) -> Score:
    """Compute the expected calibration error over bins of equal counts.

    The plain estimate is too large: a perfect model has an ECE above zero on any finite sample. So the upper bound
    is moved down by the bootstrap's bias, and the lower bound is zero unless the outputs, taken at their word,
    would rarely give an error so large (consistency resampling, Broecker and Smith 2007, Weather and Forecasting
    22:651). Coverage by simulation 94 to 98 %; the plain percentile interval of a calibrated model covers 0 %.
    """
    member = _member(p.output, bins)
    indicator = (member[:, None] == np.unique(member)).astype(np.float64)
    gap = indicator * (p.truth - p.output)[:, None]

    def statistic(weights: Floats) -> Floats:
        error: Floats = np.abs(weights @ gap).sum(axis=1) / weights.sum(axis=1)
        return error

    value = float(statistic(np.ones((1, len(p))))[0])
    drawn = bootstrap.resample(p.subjects, {"ece": statistic}, resamples=resamples, seed=seed)["ece"]
    perfect = _perfect(p.output, indicator, resamples=resamples, seed=seed)
    tail = (1 - level) / 2
    bias = float(drawn.mean()) - value
    # A resample carries the bias twice, once from the sample and once of its own. The lower bound loses both, the upper
    # one of them (log/evaluate.md).
    low, high = np.quantile(drawn, [tail, 1 - tail]) - [2 * bias, bias]
    if value <= np.quantile(perfect, 1 - tail):
        low = 0.0
    return binary.score(
        p,
        "ece",
        value,
        interval=Interval(low=float(max(0.0, min(low, value))), high=float(max(high, value))),
        method="bias-corrected bootstrap" + (", clustered by subject" if binary.clustered(p) else ""),
        trivial=0.0,
        note=f"{indicator.shape[1]} bins; a perfectly calibrated model shows {perfect.mean():.3f} on this sample",
        level=level,
    )


def recalibration(p: Predictions, level: float = 0.95) -> tuple[Score, Score]:
    """Compute the slope and, at slope 1, the intercept of a logistic recalibration (Cox 1958, Biometrika 45:562).

    A slope of 1 is the right spread and one below 1 is over-confident; an intercept of 0 is right on average.
    """
    z = special.logit(np.clip(p.output, CLIP, 1 - CLIP))
    _, cluster = np.unique(p.subjects, return_inverse=True)
    both, both_se = logistic(np.column_stack([np.ones_like(z), z]), p.truth, np.zeros_like(z), cluster)
    shift, shift_se = logistic(np.ones((len(z), 1)), p.truth, z, cluster)
    q = special.ndtri((1 + level) / 2)
    slope = _wald(p, "calibration slope", both[1], both_se[1], q, "1 is right", level)
    return slope, _wald(p, "calibration intercept", shift[0], shift_se[0], q, "0 is right", level)


def logistic(
    x: Floats, truth: Floats, offset: Floats, cluster: NDArray[np.intp], steps: int = 50
) -> tuple[Floats, Floats]:
    """Fit a logistic regression by Newton's method; return coefficients and standard errors, NaN where it diverges.

    The errors are sandwiches over clusters (Liang and Zeger 1986, Biometrika 73:13), times clusters / (clusters - 1).
    """
    beta = np.zeros(x.shape[1])
    for _ in range(steps):
        p = special.expit(x @ beta + offset)
        information = (x * (p * (1 - p))[:, None]).T @ x
        # Separated classes send the coefficients to infinity and the information to zero.
        if np.linalg.cond(information) > 1e12:
            return np.full_like(beta, np.nan), np.full_like(beta, np.nan)
        step = np.linalg.solve(information, x.T @ (truth - p))
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    per_row = x * (truth - p)[:, None]
    per_cluster = np.zeros((int(cluster.max()) + 1, x.shape[1]))
    np.add.at(per_cluster, cluster, per_row)
    bread = np.linalg.inv(information)
    if len(per_cluster) == 1:
        return beta, np.full_like(beta, np.nan)  # one subject alone: nothing tells how subjects differ
    covariance = bread @ (per_cluster.T @ per_cluster) @ bread * len(per_cluster) / (len(per_cluster) - 1)
    return beta, np.sqrt(np.diag(covariance))


def _wald(p: Predictions, name: str, value: float, se: float, q: float, right: str, level: float) -> Score:
    interval = Interval(low=float(value - q * se), high=float(value + q * se))
    note = right if np.isfinite(value) else "the outputs separate the classes; the regression has no solution"
    by_subject = "sandwich" + (", clustered by subject" if binary.clustered(p) else "")
    return binary.score(p, name, float(value), interval=interval, method=by_subject, note=note, level=level)


def _member(output: Floats, bins: int) -> NDArray[np.intp]:
    """Return the bin of every row; equal outputs share one."""
    # Of equal counts: with equal widths most bins of a rare outcome are empty.
    edges = np.unique(np.quantile(output, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.searchsorted(edges, output, side="right")


def _perfect(output: Floats, indicator: Floats, *, resamples: int, seed: int) -> Floats:
    """Return the ECE of many truths that are drawn from the outputs themselves, as if the model were calibrated."""
    # Another stream than that of the resamples; blocks of 2^20 numbers hold 8 MB.
    random = np.random.default_rng([seed, 1])
    block = max(1, 2**20 // len(output))
    parts = []
    for start in range(0, resamples, block):
        truths = random.random((min(block, resamples - start), len(output))) < output
        parts.append(np.abs((truths - output) @ indicator).sum(axis=1) / len(output))
    return np.concatenate(parts)
