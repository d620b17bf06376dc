"""The 3-D sets of MedMNIST as volumes."""

from __future__ import annotations

from pathlib import Path

from homeostat.data import medmnist
from homeostat.recipes.cell.volumes import NO_GROUP, Volumes, encoded


def read(path: Path) -> Volumes:
    """Every part that the file holds; images without labels are volumes to predict."""
    held = medmnist.read(path, axes=3)
    kind, voxels, channels = encoded(held.images)
    return Volumes(
        source="medmnist",
        kind=kind,
        ids=held.ids,
        voxels=voxels,
        channels=channels,
        label=held.labels[:, 0],
        groups=(NO_GROUP,) * len(held.ids),
        parts=held.parts,
        counts=held.counts,
        meta={"group_name": "", "groups_declared": "absent: the format has no column for patients"},
    )
