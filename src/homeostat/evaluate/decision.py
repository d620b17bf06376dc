"""Compute the net benefit of acting on a model, over the range of sensible thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from homeostat.evaluate import bootstrap
from homeostat.evaluate.bootstrap import RESAMPLES, Floats
from homeostat.evaluate.predictions import Predictions


@dataclass(frozen=True, kw_only=True)
class DecisionCurve:
    """Net benefit per person (Vickers and Elkin 2006, Medical Decision Making 26:565) at each threshold.

    Treating nobody has net benefit zero. `low` and `high` are pointwise intervals of the model's curve.
    """

    threshold: Floats
    model: Floats
    low: Floats
    high: Floats
    everybody: Floats

    def useful(self) -> tuple[float, float] | None:
        """Return the longest range of thresholds where the model surely beats treating everybody and nobody."""
        # The whole interval: "surely" is more than a curve that happens to lie above.
        better = self.low > np.maximum(0.0, self.everybody)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], better.astype(int), [0]])))
        runs = edges.reshape(-1, 2)
        if not len(runs):
            return None
        start, end = runs[np.argmax(runs[:, 1] - runs[:, 0])]
        return float(self.threshold[start]), float(self.threshold[end - 1])


def curve(
    p: Predictions,
    thresholds: Floats | None = None,
    *,
    resamples: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> DecisionCurve:
    """Compute the curve of one binary target; 500 resamples are enough for a band that is only drawn."""
    p = p.one(p.names[0])
    cut = np.linspace(0.01, 0.6, 60) if thresholds is None else thresholds
    # A threshold t says that one missed case is worth (1 - t) / t false alarms (Vickers and Elkin 2006).
    odds = cut / (1 - cut)
    called = p.output[:, None] >= cut
    gain = called * np.where(p.truth[:, None] == 1, 1.0, -odds)

    def column(k: int) -> bootstrap.Statistic:
        return lambda weights: weights @ gain[:, k] / weights.sum(axis=1)

    drawn = bootstrap.resample(
        p.subjects,
        {str(k): column(k) for k in range(len(cut))},
        resamples=min(resamples, RESAMPLES),
        seed=seed,
    )
    tail = (1 - level) / 2
    band = np.quantile(np.stack([drawn[str(k)] for k in range(len(cut))]), [tail, 1 - tail], axis=1)
    prevalence = p.truth.mean()
    return DecisionCurve(
        threshold=cut,
        model=gain.mean(axis=0),
        low=band[0],
        high=band[1],
        everybody=prevalence - (1 - prevalence) * odds,
    )
