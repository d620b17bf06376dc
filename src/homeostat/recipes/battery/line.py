"""The published kind of model of cycle life: a line on standardised features, elastic net, log of life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from homeostat.data.ragged import Array


@dataclass(frozen=True, kw_only=True)
class Line:
    """log10(life) = intercept + sum of coefficients times standardised features."""

    names: Sequence[str]
    shift: Sequence[float]
    scale: Sequence[float]
    coefficients: Sequence[float]
    intercept: float

    @classmethod
    def fit(cls, features: Mapping[str, Array], names: Sequence[str], log_life: Array) -> Self:
        """Both strengths of the elastic net by five-fold cross-validation on the training cells."""
        from sklearn.linear_model import ElasticNetCV  # slow to load, and most commands need none

        x = np.stack([features[name] for name in names], axis=1)
        shift, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        net = ElasticNetCV(l1_ratio=[0.1, 0.5, 0.9, 1.0], alphas=60, cv=min(5, len(x)), max_iter=50_000)
        net.fit((x - shift) / scale, log_life)
        return cls(
            names=list(names),
            shift=shift.tolist(),
            scale=scale.tolist(),
            coefficients=np.asarray(net.coef_).tolist(),
            intercept=float(net.intercept_),
        )

    def predict(self, features: Mapping[str, Array]) -> Array:
        """log10 of life."""
        x = np.stack([features[name] for name in self.names], axis=1)
        standard = (x - np.array(self.shift)) / np.array(self.scale)
        return np.asarray(self.intercept + standard @ np.array(self.coefficients))


def mean_life(lines: Sequence[Line], features: Mapping[str, Array]) -> Array:
    """The geometric mean of the lives that the lines predict."""
    return np.asarray(10 ** np.mean([line.predict(features) for line in lines], axis=0))
