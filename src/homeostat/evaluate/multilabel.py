"""Score several yes/no targets at once: each alone, and their mean over the estimable ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from homeostat.evaluate import binary, bootstrap, weighted
from homeostat.evaluate.bootstrap import RESAMPLES, Floats, Statistic
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import MINIMUM_EVENTS, Score
from homeostat.evaluate.threshold import GIVEN, Threshold


def scores(
    p: Predictions,
    *,
    thresholds: Mapping[str, Threshold] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> tuple[Score, ...]:
    """Compute the macro scores first, then every target's own."""
    chosen = thresholds or {}
    means = [macro_score(p, name, resamples=resamples, seed=seed, level=level) for name in MACRO]
    singles = [
        single
        for name in p.names
        for single in binary.scores(
            p.one(name), threshold=chosen.get(name, GIVEN), resamples=resamples, seed=seed, level=level
        )
    ]
    return (*means, *singles)


MACRO = {"auroc": weighted.auroc, "auprc": weighted.auprc}


def estimable(p: Predictions) -> tuple[str, ...]:
    """Return the targets with at least ten positives and ten negatives."""
    positives, negatives = np.nansum(p.targets, axis=0), np.nansum(1 - p.targets, axis=0)
    # A target with three positives would move the mean at random.
    enough = (positives >= MINIMUM_EVENTS) & (negatives >= MINIMUM_EVENTS)
    return tuple(name for name, is_enough in zip(p.names, enough, strict=True) if is_enough)


def macro(p: Predictions, names: tuple[str, ...], name: str) -> Statistic:
    """Return the plain mean over targets; a row whose truth of one target is unknown still counts for the others."""
    parts = [_on_known_rows(p, target, name) for target in names]

    def statistic(weights: Floats) -> Floats:
        # Each resample is one draw of subjects for all targets, so that their errors stay correlated as they are.
        average: Floats = np.mean([part(weights) for part in parts], axis=0)
        return average

    return statistic


def macro_score(p: Predictions, name: str, *, resamples: int, seed: int, level: float) -> Score:
    """Compute the mean over the estimable targets; the note names the others."""
    names = estimable(p)
    left_out = [target for target in p.names if target not in names]
    note = f"mean of {len(names)} of {len(p.names)} targets"
    note += f"; not estimable: {', '.join(left_out)}" if left_out else ""
    label = f"macro {name}"
    if not names:
        return _as_macro(
            p, binary.score(_any(p), label, None, note="no target has ten positives and ten negatives")
        )
    statistic = macro(p, names, name)
    drawn = bootstrap.resample(p.subjects, {name: statistic}, resamples=resamples, seed=seed)[name]
    value = weighted.value(statistic, len(p))
    # The rarest target limits how well the bootstrap knows the spread.
    positives = min(int(np.nansum(p.targets[:, p.names.index(target)])) for target in names)
    interval = bootstrap.on_logit_scale(drawn, value, degrees=positives - 1, level=level)
    prevalence = [float(np.nanmean(p.targets[:, p.names.index(target)])) for target in names]
    trivial = 0.5 if name == "auroc" else float(np.mean(prevalence))
    score = binary.score(
        _any(p),
        label,
        value,
        interval=interval,
        method="bootstrap on the logit scale",
        trivial=trivial,
        note=note,
    )
    return replace(_as_macro(p, score), level=level)


def _on_known_rows(p: Predictions, target: str, name: str) -> Statistic:
    known = np.isfinite(p.targets[:, p.names.index(target)])
    alone = p.one(target)
    inner = MACRO[name](alone.truth, alone.output)
    # Without a copy of thousands of weights, where nothing is unknown.
    if known.all():
        return inner
    return lambda weights: inner(weights[:, known])


def _any(p: Predictions) -> Predictions:
    return p.one(p.names[0])


def _as_macro(p: Predictions, score: Score) -> Score:
    known = np.isfinite(p.targets).any(axis=1)
    subjects = len(np.unique(p.subjects[known]))
    return replace(score, target="", n=int(known.sum()), subjects=subjects, events=int(np.nansum(p.targets)))
