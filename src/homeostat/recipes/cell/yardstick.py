"""The yard-stick: a logistic regression on a few measures that anybody would take of such volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.volume import DEPTH_STEPS
from homeostat.methods.linear import logistic
from homeostat.methods.method import Method
from homeostat.recipes.cell.cohort import Volumes

NAME = "plain-measures"
QUANTILES = (0.5, 0.75, 0.9, 0.97, 1.0)
# Weak: a dozen correlated measures and some hundred volumes.
STRENGTH = 0.1


def plain_measures() -> Method[Volumes]:
    """The regression on the training volumes."""
    return logistic(
        NAME,
        columns=measures,
        targets=lambda volumes, ids: np.asarray(volumes.store["label"][volumes.rows(ids)]),
        strength=STRENGTH,
    )


def measures(volumes: Volumes, ids: Sequence[str]) -> Array:
    """(ids, measures): of size and thickness, of brightness and arrival time, or of grey values."""
    store, rows = volumes.store, volumes.rows(ids)
    of = {"shape": of_shape, "photons": of_photons, "grey": of_grey}[str(store.meta["kind"])]
    return np.array([of(np.asarray(store["voxels"][row], np.float64)) for row in rows])


def of_shape(voxels: Array) -> list[float]:
    """Volume, depth, extent along the principal axes."""
    mask, depth = voxels[0] > 0, voxels[1] / DEPTH_STEPS
    if mask.sum() < 4:
        return [0.0] * 12
    inside = depth[mask]
    spread = np.sqrt(np.linalg.eigvalsh(np.cov(np.argwhere(mask).T)).clip(min=1e-6))
    surface = float((inside <= 1).sum())
    size = float(mask.sum())
    return [
        *np.log([size, surface, inside.mean(), *spread]).tolist(),
        surface / size,
        *np.quantile(inside, QUANTILES).tolist(),
    ]


def of_photons(voxels: Array) -> list[float]:
    """Brightness, size, and the moments and quarters of the arrival times."""
    histogram = voxels[0].sum(axis=(1, 2))
    total = histogram.sum() + 1e-9
    time = np.arange(len(histogram))
    share = histogram / total
    mean = float(share @ time)
    quarters = share.reshape(4, -1).sum(axis=1)[:3] if len(share) % 4 == 0 else []
    lit = float((voxels[0].sum(axis=0) > 0).sum())
    return [float(np.log(total)), lit, mean, float(share @ (time - mean) ** 2), *quarters]


def of_grey(voxels: Array) -> list[float]:
    return [float(voxels.mean()), float(voxels.std()), *np.quantile(voxels, QUANTILES).tolist()]
