"""Compare two models, paired on the same rows, with both sources of noise: subjects and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import special

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate import bootstrap, delong, multilabel, regression, weighted
from homeostat.evaluate.bootstrap import RESAMPLES, Floats, Statistic
from homeostat.evaluate.pairing import aligned
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import too_few

V = TypeVar("V")
RANKING: Mapping[str, Callable[[Floats, Floats], Statistic]] = {
    "auroc": weighted.auroc,
    "auprc": weighted.auprc,
    "brier": weighted.brier,
    "log loss": weighted.log_loss,
}


_MACRO = tuple(f"macro {name}" for name in multilabel.MACRO)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The difference a minus b. `p` tests that they are equal; `holm` is p corrected for all of one call."""

    score: str
    a: str
    b: str
    value_a: float
    value_b: float
    difference: float
    low: float
    high: float
    p: float
    holm: float | None = None
    n: int
    subjects: int
    seeds: tuple[int, int]
    method: str
    split: str
    target: str = ""
    note: str = ""
    level: float = 0.95

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def paired_delong(a: Predictions, b: Predictions, level: float = 0.95) -> Comparison:
    """Compare two AUROCs of the same rows (DeLong 1988; clustered by subject as Obuchowski 1997)."""
    (a,), (b,) = aligned([a], [b])
    a, b = a.one(a.names[0]), b.one(b.names[0])
    positives = int(a.truth.sum())
    if reason := too_few(positives, len(a) - positives):
        raise DataError(f"AUROCs of {a.split} cannot be compared: {reason}.")
    areas = delong.auroc(a.truth, np.stack([a.output, b.output]), a.subjects)
    c = areas.covariance
    difference = float(areas.value[0] - areas.value[1])
    # Rounding leaves 1e-19 where two equal rankings have zero.
    # For one subject alone the covariance is NaN and max(0.0, nan) is 0.0; its zero degrees of freedom give NaN below.
    se = float(np.sqrt(max(0.0, c[0, 0] + c[1, 1] - 2 * c[0, 1])))
    se = 0.0 if se < 1e-9 else se
    values = (float(areas.value[0]), float(areas.value[1]))
    return _comparison(
        a, b, "auroc", values, difference, se, float(areas.degrees.min()), "paired DeLong", level
    )


def paired_bootstrap(
    a: Sequence[Predictions],
    b: Sequence[Predictions],
    score: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Compare the mean score of the seeds of a with that of b.

    SE^2 = SE_boot^2 + s_seed^2 (1/n_a + 1/n_b): a bootstrap over one test set knows nothing of how much another
    training would have differed. The interval is Student's t with Satterthwaite's degrees of freedom (1946).
    """
    a, b = aligned(a, b)
    functions = {
        f"{side}{k}": _statistic(p, score)
        for side, group in (("a", a), ("b", b))
        for k, p in enumerate(group)
    }
    subjects = _units(a[0])
    values = {name: weighted.value(statistic, len(subjects)) for name, statistic in functions.items()}
    if not np.isfinite(list(values.values())).all():
        raise DataError(f"{score} is undefined on {a[0].split}; compare another score.")
    # One call for all seeds of both: the same subjects are drawn for each, so that their noise cancels in the
    # difference.
    drawn = bootstrap.resample(subjects, functions, resamples=resamples, seed=seed)
    names_a, names_b = ([name for name in functions if name[0] == side] for side in "ab")
    difference_drawn = np.mean([drawn[k] for k in names_a], axis=0) - np.mean(
        [drawn[k] for k in names_b], axis=0
    )
    boot = float(np.nanvar(difference_drawn, ddof=1))
    scores_a, scores_b = np.array([values[k] for k in names_a]), np.array([values[k] for k in names_b])
    between, df_seed = _seed_variance(scores_a, scores_b)
    degrees = _satterthwaite(boot, len(np.unique(subjects)) - 1, between, df_seed)
    means = (float(scores_a.mean()), float(scores_b.mean()))
    comparison = _comparison(
        a[0],
        b[0],
        score,
        means,
        means[0] - means[1],
        float(np.sqrt(boot + between)),
        degrees,
        "paired bootstrap",
        level,
    )
    note = "" if df_seed else "one training each: says which of these two is better, not which method"
    return replace(comparison, seeds=(len(a), len(b)), note=note)


def knows(kind: str, score: str) -> bool:
    """Say whether two models can be compared in this score."""
    return score in {"regression": regression.SCORES, "multilabel": _MACRO}.get(kind, RANKING)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Apply Holm's step-down correction (1979): the chance of any false alarm stays below the level."""
    # The smallest p times n, the next times n - 1, and so on, never falling.
    order = np.argsort(p, kind="stable")
    stepped = np.asarray(p, float)[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(stepped))
    return tuple(float(value) for value in adjusted)


def adjusted(comparisons: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Return the same comparisons with Holm's correction over all of them."""
    corrected = holm([comparison.p for comparison in comparisons])
    return tuple(replace(c, holm=p) for c, p in zip(comparisons, corrected, strict=True))


def _statistic(p: Predictions, score: str) -> Statistic:
    """Return the score as a function of the weights of `_units`."""
    if p.kind == "regression":
        return weighted.of_sums(_sums(p), _known(regression.SCORES, score))
    if p.kind == "multilabel":
        return multilabel.macro(p, multilabel.estimable(p), score.removeprefix("macro "))
    return _known(RANKING, score)(p.truth, p.output)


def _known(scores: Mapping[str, V], name: str) -> V:
    if name not in scores:
        raise ConfigError(f"Score {name!r} cannot be compared here. Known: {', '.join(scores)}.")
    return scores[name]


def _sums(p: Predictions) -> Floats:
    if len(p.names) > 1:
        raise DataError(f"{p.model} predicts {', '.join(p.names)}. Compare one target at a time.")
    alone = p.one(p.names[0])
    return regression.subject_sums(alone.truth, alone.output, alone)


def _units(p: Predictions) -> NDArray[np.generic]:
    """Return the labels that are resampled: each row's subject, or the sums of a regression, which are by subject."""
    if p.kind == "regression":
        return np.arange(len(_sums(p)))
    return p.subjects


def _seed_variance(a: Floats, b: Floats) -> tuple[float, int]:
    """Return the pooled variance of the difference of two means over seeds, and its degrees of freedom.

    With one seed each nothing can be said about seeds: both are 0.
    """
    degrees = len(a) + len(b) - 2
    # One training each found a "winner" between two equal methods in more than 30 % of trials, at the 5 % level
    # (log/evaluate.md).
    if degrees == 0:
        return 0.0, 0
    # Pooled, as in Student's test of two samples: three seeds alone say little of their spread.
    pooled = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / degrees
    return float(pooled * (1 / len(a) + 1 / len(b))), degrees


def _satterthwaite(boot: float, df_boot: int, between: float, df_seed: int) -> float:
    # Satterthwaite 1946 (Biometrics Bulletin 2:110): the degrees of freedom of a sum of two estimated variances.
    if between == 0:
        return df_boot
    return (boot + between) ** 2 / (boot**2 / df_boot + between**2 / df_seed)


def _comparison(
    a: Predictions,
    b: Predictions,
    score: str,
    values: tuple[float, float],
    difference: float,
    se: float,
    degrees: float,
    method: str,
    level: float,
) -> Comparison:
    # A trap: two rankings without variance (a perfect and a constant one) differ with p 0 and no width, which is more
    # than a sample can say.
    t = difference / se if se > 0 else (0.0 if difference == 0 else np.inf)
    reach = float(special.stdtrit(degrees, (1 + level) / 2)) * se
    clustered = len(np.unique(a.subjects)) < len(a)
    return Comparison(
        score=score,
        a=a.model,
        b=b.model,
        value_a=values[0],
        value_b=values[1],
        difference=difference,
        low=difference - reach,
        high=difference + reach,
        p=float(2 * special.stdtr(degrees, -abs(t))),
        n=len(a),
        subjects=len(np.unique(a.subjects)),
        seeds=(1, 1),
        method=method + (", clustered by subject" if clustered else ""),
        split=a.split,
        target=a.names[0] if len(a.names) == 1 else "",
        level=level,
    )
