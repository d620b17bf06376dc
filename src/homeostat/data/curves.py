"""A monotone curve per variable turns measured values into numbers for a network.

One half of the curve is the z-score (of the logarithm where that is less skewed). The other half is the normal score
of the rank. The first keeps distances; outliers and units do not move the second. Curves are fitted on the training
ids alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.scaling import digest_ids
from homeostat.errors import DataError

# Finer between common values than anybody reads a chart; the ends are the 0.2 % and 99.8 % points.
LEVELS = np.r_[0.0005, np.linspace(0.002, 0.998, 127), 0.9995]
LARGEST = 4.0


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Values and scores of each variable; straight lines between them, flat outside."""

    names: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    scores: tuple[tuple[float, ...], ...]
    fitted_on: str
    ids: int
    ids_digest: str

    @classmethod
    def fit(
        cls,
        values: Array,
        variable: Array,
        *,
        names: Sequence[str],
        ids: Sequence[str],
        fitted_on: str = "train",
    ) -> Self:
        """Fit to the observations of the training ids. A variable that was never seen or never varies becomes 0."""
        fitted = [curve(values[variable == place].astype(np.float64)) for place in range(len(names))]
        return cls(
            names=tuple(names),
            values=tuple(tuple(x.tolist()) for x, _ in fitted),
            scores=tuple(tuple(z.tolist()) for _, z in fitted),
            fitted_on=fitted_on,
            ids=len(ids),
            ids_digest=digest_ids(ids),
        )

    def transform(self, values: Array, variable: Array) -> Array:
        """Scores of observations, in single precision."""
        scores = np.zeros(len(values), dtype=np.float32)
        for place in range(len(self.names)):
            rows = np.flatnonzero(variable == place)
            scores[rows] = np.interp(values[rows], self.values[place], self.scores[place])
        return scores

    def inverse(self, scores: Array, place: int) -> Array:
        """Values of one variable's scores, for figures."""
        return np.interp(scores, self.scores[place], self.values[place])

    def order(self, names: Sequence[str]) -> Array:
        """The place of each variable of a store among the fitted ones; -1 for one that the model never saw."""
        if not set(names) & set(self.names):
            raise DataError(
                f"None of the data's variables ({', '.join(names[:5])}, ...) is one that the model was trained on "
                f"({', '.join(self.names[:5])}, ...). Rename them, or train on these data."
            )
        return np.array([self.names.index(name) if name in self.names else -1 for name in names])

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        rows = {key: tuple(map(tuple, plain[key])) for key in ("values", "scores")}
        return cls(**{**plain, **rows, "names": tuple(plain["names"])})


def curve(values: Array) -> tuple[Array, Array]:
    """(values, scores) of one variable, both increasing."""
    from scipy.special import ndtri  # slow to load, and most commands fit no curve

    if len(values) == 0 or values.min() == values.max():
        at = float(values[0]) if len(values) else 0.0
        return np.array([at]), np.array([0.0])
    knots = np.unique(np.quantile(values, LEVELS))
    ordered = np.sort(values)
    # Ranks of ties are shared, so that a value that half of the subjects have is not torn apart.
    rank = (
        (np.searchsorted(ordered, knots, "left") + np.searchsorted(ordered, knots, "right"))
        / 2
        / len(ordered)
    )
    normal = ndtri(np.clip(rank, 0.001, 0.999))
    plain = is_skewed(values)
    along = np.log1p(knots) if plain else knots
    whole = np.clip(np.log1p(values) if plain else values, along[0], along[-1])
    scores = 0.5 * normal + 0.5 * (along - whole.mean()) / max(float(whole.std()), 1e-9)
    return knots, np.clip(scores, -LARGEST, LARGEST)


def is_skewed(values: Array) -> bool:
    """Say whether the logarithm is the more symmetric view. Values that can be negative have none."""
    if values.min() < 0:
        return False
    return abs(skew(np.log1p(values))) < abs(skew(values))


def skew(values: Array) -> float:
    """Third standardised moment; scipy.stats would take longer to load than all curves to fit."""
    above = values - values.mean()
    return float((above**3).mean() / (above**2).mean() ** 1.5)
