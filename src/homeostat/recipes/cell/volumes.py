"""Every source becomes volumes of one size with their ids, labels, groups and parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.store import Writer
from homeostat.data.volume import is_mask, with_depth
from homeostat.errors import DataError

Kind = Literal["shape", "grey", "photons"]
"""shape: a mask and its depth; grey: intensities; photons: counts, the first axis being time."""
NO_GROUP = ""


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
        writer.count_all(self.counts)


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


def encoded(images: Array) -> tuple[Kind, Array, tuple[str, ...]]:
    """(N, D, H, W) -> their kind, (N, C, D, H, W), and the names of the channels; masks get their depth beside them."""
    if is_mask(images):
        return "shape", with_depth(images), ("mask", "depth")
    return "grey", images[:, None], ("intensity",)
