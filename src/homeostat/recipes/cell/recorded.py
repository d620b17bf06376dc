"""How volumes were recorded: voxel size, extent and orientation, and whether these tell the label.

A network that can tell the scanner from the volume can read the site instead of the disease. Resampling removes the
voxel size, but not the sharpness and the noise that came with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.data.nifti import Head
from homeostat.data.ragged import Array
from homeostat.evaluate.confounder import confounders

AXES = ("left to right", "back to front", "foot to head")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """(N, features) of how each volume was recorded; NaN where its file does not say."""

    names: tuple[str, ...] = ()
    values: Array

    @classmethod
    def of(cls, heads: Sequence[Head | None]) -> Recorded:
        """Voxel size, number of voxels and orientation of each volume."""
        known = [head for head in heads if head is not None]
        if not known:
            return cls(values=np.empty((len(heads), 0)))
        orientations = sorted({head.orientation for head in known})
        names = [f"voxel size {axis}" for axis in AXES] + [f"number of voxels {axis}" for axis in AXES]
        names += [f"orientation {word or 'not given'}" for word in orientations]
        empty = [np.nan] * len(names)
        rows = [empty if head is None else _row(head, orientations) for head in heads]
        return cls(names=tuple(names), values=np.array(rows, np.float64))

    def counts(self, label: Array) -> dict[str, int]:
        """The features that tell the label, as sentences for the report of the preparation."""
        return {
            f"volumes whose {each.name} tells their label (AUROC {each.auroc:.2f}, by chance 0.5): a network may learn "
            "the scanner instead of the disease": each.samples
            for each in confounders(self.names, self.values, label)
        }


def _row(head: Head, orientations: Sequence[str]) -> list[float]:
    return [*head.spacing_mm, *head.size, *(float(head.orientation == word) for word in orientations)]
