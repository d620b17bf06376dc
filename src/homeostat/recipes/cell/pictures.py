"""Slices of a few volumes for the report: where the light of a cell is and how late it comes, or the middle planes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.evaluate.predictions import Predictions
from homeostat.recipes.cell.cohort import Volumes
from homeostat.report import slices
from homeostat.report.slices import Slices
from homeostat.run import Run

# Pixels with less than this share of the brightest one's light have no mean arrival time to speak of.
DARK = 0.05


def leave(run: Run, own: Predictions, store: Store) -> None:
    """Write slices of volumes of each class, from the surest mistake to the surest right answer, beside predictions."""
    volumes = Volumes(store)
    p = own.one(own.names[0])
    rows = slices.chosen(p.truth, p.output)
    no, yes = map(str, store.meta["classes"])
    shown = [
        Slices(
            identity=str(p.ids[row]),
            classes=(no, yes),
            planes=planes(np.asarray(store["voxels"][place]), str(store.meta["kind"])),
        )
        for row, place in zip(rows, volumes.rows(p.ids[rows].tolist()), strict=True)
    ]
    slices.write(run.predictions / slices.NAME, shown)


def planes(voxels: Array, kind: str) -> Mapping[str, Array]:
    """(C, D, H, W) as pictures by name. Of several channels the first is shown."""
    volume = np.asarray(voxels[0], np.float64)
    if kind == "photons":
        light = volume.sum(axis=0)
        bins = np.arange(len(volume))[:, None, None]
        late = (bins * volume).sum(axis=0) / np.maximum(light, 1)
        lit = light > DARK * light.max()
        # Dark pixels are as dark as the earliest light.
        late = np.where(lit, late, late[lit].min(initial=np.inf) if lit.any() else 0.0)
        return {"photons": slices.grey(light), "mean arrival time": slices.grey(late)}
    return {
        f"middle of axis {axis + 1}": slices.grey(volume.take(volume.shape[axis] // 2, axis=axis))
        for axis in range(3)
    }
