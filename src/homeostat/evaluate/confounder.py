"""Find what was recorded beside the data and tells the label: a voxel size, an orientation, a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.evaluate.bootstrap import Floats
from homeostat.evaluate.delong import placements

# An AUROC of 0.8 is that of a useful test: nothing that was recorded beside the data should reach it.
TELLS = 0.8
# Of each class: with fewer, an AUROC of 0.8 comes by chance.
FEWEST = 10
# Standard errors of a feature that says nothing: more than one feature is looked at.
BEYOND_CHANCE = 4.0


@dataclass(frozen=True, kw_only=True)
class Confounder:
    """One feature that tells the label."""

    name: str
    auroc: float
    """Above one half, whichever way the feature points."""
    samples: int


def confounders(names: Sequence[str], values: Floats, truth: Floats) -> list[Confounder]:
    """Return the features (samples, names) that tell a label of 0 and 1; NaN in either is left out."""
    telling = []
    for name, feature in zip(names, values.T, strict=True):
        known = np.isfinite(feature) & np.isfinite(truth)
        positives = int((truth[known] == 1).sum())
        negatives = int(known.sum()) - positives
        if min(positives, negatives) < FEWEST:
            continue
        area = float(placements(truth[known], feature[known][None])[0].mean())
        # Mann and Whitney 1947: the spread of the area of a feature that says nothing.
        chance = np.sqrt((positives + negatives + 1) / (12 * positives * negatives))
        if abs(area - 0.5) > max(TELLS - 0.5, BEYOND_CHANCE * chance):
            telling.append(Confounder(name=name, auroc=max(area, 1 - area), samples=int(known.sum())))
    return sorted(telling, key=lambda each: -each.auroc)
