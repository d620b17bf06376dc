"""Every source becomes volumes of one size with their ids, labels, groups and parts."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.store import Writer
from homeostat.data.volume import is_mask, with_depth
from homeostat.errors import DataError
from homeostat.recipes.cell.recorded import Recorded

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
    recorded: Recorded | None = None
    """How each was recorded, where its file says so."""
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
        names: tuple[str, ...] = ()
        if self.recorded is not None and self.recorded.names:
            names = self.recorded.names
            writer.array("recorded", self.recorded.values, missing_allowed=True)
        extras = {"source": self.source, "kind": self.kind, "channels": list(self.channels)}
        writer.meta.update(
            {**extras, "classes": list(self.classes), "recorded_names": list(names), **self.meta}
        )
        writer.count_all(self.counts)
        writer.count_all(copies(self))
        writer.count_all(one_sided(self))


def check(volumes: Volumes) -> None:
    """Stops at what no later step could mend."""
    if len(volumes.ids) == 0:
        raise DataError(
            f"There is no usable volume in the {volumes.source} data. Check the path given by --data."
        )
    if volumes.voxels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"Volumes are stored as uint8 or uint16, not {volumes.voxels.dtype}.")
    twice = [name for name, number in Counter(volumes.ids).items() if number > 1]
    if twice:
        raise DataError(
            f"{len(twice)} volumes have the id of another one, such as {twice[0]}. Every volume needs its own id."
        )
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


def copies(volumes: Volumes) -> dict[str, int]:
    """Count the volumes that are exact copies of an earlier one under another id, and those that could flatter."""
    first: dict[bytes, int] = {}
    counts: Counter[str] = Counter()
    for row, voxels in enumerate(volumes.voxels):
        if voxels.min() == voxels.max():
            continue  # one value everywhere: named on its own, and equal to its like
        place = first.setdefault(hashlib.blake2b(voxels.tobytes(), digest_size=16).digest(), row)
        if place == row:
            continue
        counts["volumes that are exact copies of another one, kept"] += 1
        if {volumes.label[place], volumes.label[row]} == {0, 1}:
            counts["copies of a volume with the other label, kept: one of the two labels is wrong"] += 1
        if volumes.parts[place] != volumes.parts[row]:
            both = " and ".join(sorted((volumes.parts[place] or "no part", volumes.parts[row] or "no part")))
            counts[f"copies of a volume across {both}, kept: scores on them reward memory"] += 1
        if volumes.groups[place] != volumes.groups[row]:
            counts["copies of a volume under another group, kept: one may train and the other be tested"] += 1
    return dict(counts)


def one_sided(volumes: Volumes) -> dict[str, int]:
    """Count the volumes of a part in which all that are labelled have one label."""
    counts = {}
    parts = np.array(volumes.parts)
    for part in sorted(set(volumes.parts)):
        known = volumes.label[(parts == part) & np.isfinite(volumes.label)]
        if len(known) > 1 and known.min() == known.max():
            counts[
                f"labels{f' of {part}' if part else ''} that are all {known[0]:g}: nothing can be told apart"
            ] = len(known)
    return counts


def encoded(images: Array) -> tuple[Kind, Array, tuple[str, ...]]:
    """(N, D, H, W) -> their kind, (N, C, D, H, W), and the names of the channels; masks get their depth beside them."""
    if is_mask(images):
        return "shape", with_depth(images), ("mask", "depth")
    return "grey", images[:, None], ("intensity",)
