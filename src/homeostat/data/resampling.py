"""Bring volumes to one voxel size: choose it, say why, and resample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from homeostat.data.nifti import SAME_SPACING, Head
from homeostat.data.ragged import Array
from homeostat.errors import DataError

STRICT = "strict"
CONVENTION = "RAS"


def wished(spacing: Sequence[str]) -> tuple[float, ...]:
    """The voxel size that is asked for in millimetres; empty for the median, and for strict."""
    if not spacing or tuple(spacing) == (STRICT,):
        return ()
    try:
        sides = tuple(float(word) for word in spacing)
    except ValueError:
        sides = ()
    if len(sides) not in (1, 3) or not all(np.isfinite(side) and side > 0 for side in sides):
        raise DataError(
            f"The voxel size {' '.join(spacing)!r} is none. Expected one or three positive numbers in mm, such as "
            f"--spacing 1 1 2, or --spacing {STRICT}."
        )
    return sides * 3 if len(sides) == 1 else sides


def common_spacing(
    heads: Sequence[Head | None], names: Sequence[str], spacing: Sequence[str], train: Sequence[bool] = ()
) -> tuple[tuple[float, ...], dict[str, int]]:
    """The voxel size to resample to (empty: as they are), and what is done to how many volumes."""
    known = [(head, name) for head, name in zip(heads, names, strict=True) if head is not None]
    counts = Counter(oddity for head, _ in known for oddity in head.oddities)
    if 0 < len(known) < len(heads):
        counts["volumes in .npy, which holds no voxel size, taken as they are"] = len(heads) - len(known)
    wish = wished(spacing)
    if not known:
        if spacing:
            raise DataError("The volumes are .npy, which holds no voxel size. Leave --spacing out.")
        return (), dict(counts)
    if tuple(spacing) == (STRICT,):
        _check_alike(known)
        return (), dict(counts)
    for orientation, number in Counter(head.orientation for head, _ in known).items():
        if orientation not in ("", CONVENTION):
            counts[f"volumes turned from {orientation} to {CONVENTION}"] = number
    sizes = np.array([head.spacing_mm for head, _ in known])
    differ = (np.ptp(sizes, axis=0) > SAME_SPACING * sizes.min(axis=0)).any()
    target = wish
    reason = "as --spacing asks"
    if not wish and differ:
        learnt = (
            [use for use, head in zip(train, heads, strict=True) if head is not None] if any(train) else []
        )
        median = np.median(sizes[np.array(learnt)] if any(learnt) else sizes, axis=0)
        target = tuple(float(f"{side:.4g}") for side in median)
        whose = "the training volumes" if any(learnt) else "all"
        reason = f"the median of {whose}, because they have {_span(sizes)}"
    if not target:
        return (), dict(counts)
    changed = int((np.abs(sizes - np.array(target)) > SAME_SPACING * np.array(target)).any(axis=1).sum())
    counts[f"volumes resampled to {_sides(target)} mm ({reason})"] = changed
    return target, dict(counts)


def resampled(volume: Array, spacing: Sequence[float], target: Sequence[float]) -> Array:
    """The volume in voxels of another size, around the same middle: linear for grey values, nearest for masks."""
    is_mask = len(np.unique(volume)) <= 2 and volume.min() == 0
    values = volume if is_mask else volume.astype(np.float64)
    for axis, (old, new) in enumerate(zip(spacing, target, strict=True)):
        if abs(old - new) <= SAME_SPACING * new:
            continue
        size = values.shape[axis]
        count = max(round(size * old / new), 1)
        place = (np.arange(count) - (count - 1) / 2) * new / old + (size - 1) / 2
        if is_mask:
            values = values.take(np.rint(place).astype(int).clip(0, size - 1), axis=axis)
        else:
            values = np.moveaxis(np.tensordot(_tents(place, size, new / old), values, (1, axis)), 0, axis)
    return values if is_mask else np.asarray(np.rint(values), volume.dtype)


def _tents(place: Array, size: int, ratio: float) -> Array:
    """(new, old) weights of linear interpolation; a tent as wide as the coarser voxel lets no fine texture alias."""
    away = np.abs(place.clip(0, size - 1)[:, None] - np.arange(size)[None])
    weights = np.clip(1 - away / max(ratio, 1.0), 0, None)
    shares: Array = weights / weights.sum(axis=1, keepdims=True)
    return shares


def _check_alike(known: Sequence[tuple[Head, str]]) -> None:
    """Refuse volumes that differ in voxel size or orientation."""
    first, name = known[0]
    for head, other in known[1:]:
        gap = np.abs(np.array(head.spacing_mm) - np.array(first.spacing_mm))
        if (gap > SAME_SPACING * np.array(first.spacing_mm)).any():
            raise DataError(
                f"{other} has voxels of {_sides(head.spacing_mm)} mm, {name} of {_sides(first.spacing_mm)}. "
                f"--spacing {STRICT} refuses that; --spacing {_sides(first.spacing_mm, ' ')} resamples them."
            )
        if head.orientation != first.orientation:
            lie, lies = (each.orientation or "no known orientation" for each in (first, head))
            raise DataError(
                f"{other} is stored as {lies}, {name} as {lie}. "
                f"--spacing {STRICT} refuses that; without it they are turned to {CONVENTION}."
            )


def _sides(spacing: Sequence[float], between: str = " x ") -> str:
    return between.join(f"{side:g}" for side in spacing)


def _span(sizes: Array) -> str:
    return f"{_sides(sizes.min(axis=0))} to {_sides(sizes.max(axis=0))}"
