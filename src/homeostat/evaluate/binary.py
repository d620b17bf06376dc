"""Score the probabilities of one yes/no target: by ranking, as probabilities, and at a threshold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from homeostat.evaluate import bootstrap, delong, weighted
from homeostat.evaluate.bootstrap import RESAMPLES, Floats, Interval
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import Better, Score, too_few
from homeostat.evaluate.threshold import GIVEN, Threshold

RANKING = ("auroc", "auroc (bootstrap)", "auprc", "brier", "log loss")


def _mcc(c: Floats) -> Floats:
    """Correlate calls and truths (Matthews 1975); 0 where one of the four margins is empty."""
    tp, fp, fn, tn = c
    scale = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    correlation: Floats = np.divide(tp * tn - fp * fn, scale, out=np.zeros_like(scale), where=scale > 0)
    return correlation


AT_THRESHOLD: Mapping[str, Callable[[Floats], Floats]] = {
    "sensitivity": lambda c: c[0] / (c[0] + c[2]),
    "specificity": lambda c: c[3] / (c[3] + c[1]),
    "ppv": lambda c: c[0] / (c[0] + c[1]),
    "npv": lambda c: c[3] / (c[3] + c[2]),
    "accuracy": lambda c: (c[0] + c[3]) / c.sum(axis=0),
    "balanced accuracy": lambda c: (c[0] / (c[0] + c[2]) + c[3] / (c[3] + c[1])) / 2,
    "f1": lambda c: 2 * c[0] / (2 * c[0] + c[1] + c[2]),
    "mcc": _mcc,
}
"""Each score as a function of the counts (tp, fp, fn, tn)."""
BETTER: Mapping[str, Better] = {
    "brier": "lower",
    "log loss": "lower",
    "ece": "lower",
    "calibration slope": "neither",
    "calibration intercept": "neither",
}
"""The scores of which higher is not better."""
NARROW = "near 1 with few positives: such intervals hold the truth in 88 to 97 % of samples"
"""benchmarks/evaluate.py measures this coverage; it is least for scores with heavy tails. The variance of a nearly
perfect ranking rests on a handful of errors."""
# Up to 0.92 the intervals hold the truth in 93 to 97 % of samples; above, scores with heavy tails fall to 89.8 %
# (log/evaluate.md).
NEAR_ONE, MANY = 0.92, 200
"""The note stands beside the interval above this area and below this number of positives."""
SHARES = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
"""Scores that are shares of subjects: Wilson's interval holds where the bootstrap of 20 out of 20 says [1, 1]."""


def scores(
    p: Predictions,
    *,
    threshold: Threshold = GIVEN,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Score, ...]:
    """Compute every score of one binary target; under ten positives or ten negatives all are "not estimable"."""
    p = p.one(p.names[0])
    make = partial(score, p, level=level)
    positives = int(p.truth.sum())
    if reason := too_few(positives, len(p) - positives):
        return tuple(make(name, None, note=reason) for name in (*RANKING, *AT_THRESHOLD))
    called = threshold(p.output)
    statistics = {
        "auroc (bootstrap)": weighted.auroc(p.truth, p.output),
        "auprc": weighted.auprc(p.truth, p.output),
        "brier": weighted.brier(p.truth, p.output),
        "log loss": weighted.log_loss(p.truth, p.output),
    } | {name: weighted.confusion(p.truth, called, combine) for name, combine in AT_THRESHOLD.items()}
    drawn = bootstrap.resample(p.subjects, statistics, resamples=resamples, seed=seed)
    value = {name: weighted.value(statistic, len(p)) for name, statistic in statistics.items()}
    # Beside every score, because the guide's test donor has an F1 of 0.805 when every cell is called active
    # (docs/cell.md).
    trivial = trivials(float(p.truth.mean()), float(called.mean()))
    result = [auroc(p, level=level)]
    for name in statistics:
        interval, method = _interval(name, p, called, drawn[name], value[name], level)
        at = f"at {threshold}" if name in AT_THRESHOLD else ""
        note = "; ".join(part for part in (at, interval.note) if part)
        result.append(
            make(name, value[name], interval=interval, method=method, trivial=trivial.get(name), note=note)
        )
    return tuple(result)


def auroc(p: Predictions, level: float = 0.95) -> Score:
    """Compute the AUROC with DeLong's interval, clustered by subject."""
    positives = int(p.truth.sum())
    if reason := too_few(positives, len(p) - positives):
        return score(p, "auroc", None, note=reason, level=level)
    areas = delong.auroc(p.truth, p.output[None], p.subjects)
    low, high = delong.interval(areas, p.truth, level)
    return score(
        p,
        "auroc",
        float(areas.value[0]),
        interval=Interval(low=low, high=high),
        method="DeLong on the logit scale" + (", clustered by subject" if clustered(p) else ""),
        trivial=0.5,
        note=NARROW if areas.value[0] > NEAR_ONE and positives < MANY else "",
        level=level,
    )


def score(
    p: Predictions,
    name: str,
    value: float | None,
    *,
    interval: Interval | None = None,
    method: str = "",
    trivial: float | None = None,
    note: str = "",
    level: float = 0.95,
) -> Score:
    """Make a score and fill in the facts of its sample."""
    if value is not None and not np.isfinite(value):
        value, interval, note = None, None, note or "undefined on this sample"
    return Score(
        name=name,
        value=value,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        n=len(p),
        subjects=len(np.unique(p.subjects)),
        events=int(p.truth.sum()) if p.kind == "binary" else None,
        method=method,
        split=p.split,
        trivial=trivial,
        note=note,
        model=p.model,
        target=p.names[0],
        unit=p.unit,
        better=BETTER.get(name, "higher"),
        level=level,
    )


def trivials(prevalence: float, called: float) -> dict[str, float]:
    """Return the same scores of predictors that look at nothing.

    Probabilities are compared with the best constant, the prevalence; shares with a lottery that calls as many
    people. Accuracy is compared with the commoner answer and F1 with "yes" to everybody: a lazy model learns those.
    """
    # 0 log 0 is 0; numpy says NaN.
    certain = prevalence in (0.0, 1.0)
    entropy = 0.0 if certain else -prevalence * np.log(prevalence) - (1 - prevalence) * np.log1p(-prevalence)
    return {
        "auroc (bootstrap)": 0.5,
        "auprc": prevalence,
        "brier": prevalence * (1 - prevalence),
        "log loss": float(entropy),
        "sensitivity": called,
        "specificity": 1 - called,
        "ppv": prevalence,
        "npv": 1 - prevalence,
        "accuracy": max(prevalence, 1 - prevalence),
        "balanced accuracy": 0.5,
        "f1": 2 * prevalence / (1 + prevalence),
        "mcc": 0.0,
    }


def clustered(p: Predictions) -> bool:
    return len(np.unique(p.subjects)) < len(p)


def _interval(
    name: str, p: Predictions, called: Floats, drawn: Floats, value: float, level: float
) -> tuple[Interval, str]:
    subjects = len(np.unique(p.subjects))
    by_subject = ", clustered by subject" if clustered(p) else ""
    if name == "auprc":
        # The positives limit how well the spread is known: with 20 of them, thousands of negatives do not help.
        degrees = len(np.unique(p.subjects[p.truth == 1])) - 1
        interval = bootstrap.on_logit_scale(drawn, value, degrees=degrees, level=level)
        return interval, "bootstrap on the logit scale" + by_subject
    if name in SHARES and np.isfinite(value):
        n = _effective(name, p, called, drawn, value)
        low, high = bootstrap.wilson(value, n, level)
        return Interval(low=low, high=high), "Wilson" + by_subject
    return bootstrap.percentile(drawn, subjects=subjects, level=level), "bootstrap" + by_subject


def _effective(name: str, p: Predictions, called: Floats, drawn: Floats, value: float) -> float:
    """Return the number of independent units that would give a share the same variance.

    It is the n of a simple random sample divided by the design effect (Kish 1965).
    """
    rows = {
        "sensitivity": p.truth == 1,
        "specificity": p.truth == 0,
        "ppv": called == 1,
        "npv": called == 0,
    }.get(name, np.ones(len(p), bool))
    subjects = len(np.unique(p.subjects[rows]))
    # NaN: a resample without a positive has no sensitivity.
    variance = float(np.nanvar(drawn))
    if not clustered(p) or variance == 0:
        return subjects
    return min(float(rows.sum()), max(1.0, value * (1 - value) / variance))
