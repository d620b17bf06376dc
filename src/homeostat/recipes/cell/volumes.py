"""Every source becomes volumes of one size with their ids, labels, groups and parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from homeostat.data.ragged import Array
from homeostat.data.store import Writer
from homeostat.errors import DataError

Kind = Literal["shape", "grey", "photons"]
"""shape: a mask and its depth; grey: intensities; photons: counts, the first axis being time."""
NO_GROUP = ""
# Depth is kept in 1/32 of a voxel's side up to 8 voxels: what lies deeper is thick by any measure.
DEPTH_STEPS = 32


@dataclass(frozen=True, kw_only=True)
class Volumes:
    """N volumes."""

    source: str
    kind: Kind
    ids: tuple[str, ...]
    voxels: Array
    """(N, C, D, H, W), uint8 or uint16."""
    channels: tuple[str, ...]
    label: Array
    """(N,) 0 or 1; NaN where unknown."""
    groups: tuple[str, ...]
    """Whose volume it is (donor, patient); "" throughout where the data declare none."""
    parts: tuple[str, ...]
    """train, valid or test where the data come with a split, "" otherwise."""
    classes: tuple[str, str] = ("no", "yes")
    bayes: Array | None = None
    """(N,) log odds of yes by whoever knows how they were simulated; None for real volumes."""
    counts: Mapping[str, int] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    def write(self, writer: Writer) -> None:
        """Arrays of the store: volume, voxels, label, group, part."""
        check(self)
        writer.array("volume", np.array(self.ids))
        writer.array("voxels", self.voxels)
        writer.array("label", self.label.astype(np.float32), missing_allowed=True)
        writer.array("group", np.array(self.groups))
        writer.array("part", np.array(self.parts))
        if self.bayes is not None:
            writer.array("bayes", self.bayes)
        extras = {"source": self.source, "kind": self.kind, "channels": list(self.channels)}
        writer.meta.update({**extras, "classes": list(self.classes), **self.meta})
        for what, number in self.counts.items():
            writer.count(what, number)


def check(volumes: Volumes) -> None:
    """Stops at what no later step could mend."""
    if len(volumes.ids) == 0:
        raise DataError(
            f"There is no usable volume in the {volumes.source} data. Check the path given by --data."
        )
    if volumes.voxels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"Volumes are stored as uint8 or uint16, not {volumes.voxels.dtype}.")
    twice = len(volumes.ids) - len(set(volumes.ids))
    if twice:
        raise DataError(f"{twice} volumes have the id of another one. Every volume needs its own id.")
    known = volumes.label[np.isfinite(volumes.label)]
    if not np.isin(known, (0, 1)).all():
        raise DataError(
            f"Labels are {', '.join(f'{value:g}' for value in np.unique(known)[:6])}; expected 0 and 1. "
            "This recipe tells two classes apart."
        )
    if any(volumes.groups) and not all(volumes.groups):
        absent = sum(not group for group in volumes.groups)
        raise DataError(
            f"{absent} volumes have no group while others have one. Name a group for each, or for none."
        )


def from_masks(images: Array) -> tuple[Array, tuple[str, ...]]:
    """(N, D, H, W) masks -> (N, 2, D, H, W): the mask, and how deep inside each voxel lies (Euclidean)."""
    masks = images > images.max() / 2
    stacked = np.zeros((len(masks), 2, *masks.shape[1:]), np.uint8)
    for place, mask in enumerate(masks):
        stacked[place, 0] = mask * np.uint8(255)
        stacked[place, 1] = np.minimum(ndimage.distance_transform_edt(mask) * DEPTH_STEPS, 255).round()
    return stacked, ("mask", "depth")


def is_mask(images: Array) -> bool:
    """Says whether there are no more than two values, one of them 0."""
    values = np.unique(images[: min(len(images), 64)])
    return len(values) <= 2 and values[0] == 0 and len(np.unique(images)) <= 2


def fitted(volume: Array, sides: Sequence[int], centre: Sequence[float] | None = None) -> Array:
    """The volume cut or padded with zeros to these sides, around `centre` (or its middle)."""
    stacked = np.zeros(tuple(sides), volume.dtype)
    middle = [(size - 1) / 2 for size in volume.shape] if centre is None else centre
    source, target = [], []
    for size, side, mid in zip(volume.shape, sides, middle, strict=True):
        first = int(round(mid - (side - 1) / 2))
        source.append(slice(max(first, 0), max(min(first + side, size), 0)))
        target.append(slice(source[-1].start - first, source[-1].stop - first))
    stacked[tuple(target)] = volume[tuple(source)]
    return stacked
