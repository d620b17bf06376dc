"""Read volumes from NIfTI and .npy files, and bring them to one size, as whole numbers from 0 to 65,535."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import ndimage

from homeostat.data import border, nifti
from homeostat.data.arrays import read_npy
from homeostat.data.ragged import Array
from homeostat.data.resampling import common_spacing, resampled
from homeostat.errors import DataError

ENDINGS = (".nii", ".nii.gz", ".npy")
# Depth is kept in 1/32 of a voxel's side up to 8 voxels: what lies deeper is thick by any measure.
DEPTH_STEPS = 32
# Names in one sentence.
SHOWN = 5


def volume_files(folder: Path) -> list[Path]:
    """The volumes in a folder and below it."""
    return [file for file in sorted(folder.rglob("*")) if file.name.endswith(ENDINGS)]


@dataclass(frozen=True, kw_only=True)
class Stack:
    """N volumes of one size and, where their files know it, of one voxel size and one orientation."""

    images: Array
    """(N, D, H, W), uint8 or uint16."""
    heads: tuple[nifti.Head | None, ...]
    """How each was taken; None for .npy, which does not say."""
    spacing_mm: tuple[float, ...] = ()
    """The voxel size of all; empty where it is not known of each."""
    counts: Mapping[str, int] = field(default_factory=dict)


def read_stack(
    folder: Path,
    names: Sequence[str],
    *,
    sides: Sequence[int] = (),
    window: Sequence[float] = (),
    spacing: Sequence[str] = (),
    train: Sequence[bool] = (),
) -> Stack:
    """Read the named files. Without sides they must have one size as they are.

    `spacing` is what `resampling.wished` knows; `train` says whose median counts, everybody's if nobody is named.
    """
    files = _present(folder, names)
    heads = tuple(None if file.suffix == ".npy" else nifti.head(file) for file in files)
    target, counts = common_spacing(heads, names, spacing, train)
    volumes: list[Array] = []
    first: tuple[int, ...] = tuple(sides)
    constant = []
    for file, head, name in zip(files, heads, names, strict=True):
        volume = read_volume(file, window, head)
        if volume.min() == volume.max():
            constant.append(name)
        if head is not None and target:
            volume = resampled(volume, head.spacing_mm, target)
        first = first or volume.shape
        if not sides and volume.shape != first:
            raise DataError(
                f"{name} has shape {volume.shape}, {names[0]} has {first}. Name one size: --sides 64 64 64."
            )
        volumes.append(_small(fitted(volume, first)))
    if constant:
        listed = ", ".join(constant[:SHOWN]) + (", ..." if len(constant) > SHOWN else "")
        counts[f"volumes with one value everywhere, kept ({listed})"] = len(constant)
    known = [head.spacing_mm for head in heads if head is not None]
    held = target or (known[0] if known else ())
    return Stack(
        images=np.stack(volumes) if len({volume.dtype for volume in volumes}) == 1 else _widest(volumes),
        heads=heads,
        spacing_mm=tuple(held) if len(known) == len(heads) else (),
        counts=counts,
    )


def _present(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files that a table names; all that are missing are named at once."""
    absent = [name for name in names if "\0" not in name and not os.path.lexists(folder / name)]
    if absent:
        listed = ", ".join(absent[:SHOWN]) + (", ..." if len(absent) > SHOWN else "")
        raise DataError(
            f"{len(absent):,} of {len(names):,} volumes that the table names are not in {folder}: {listed}. "
            "Put them there, or remove their rows."
        )
    return [border.named(folder, name) for name in names]


def _small(volume: Array) -> Array:
    """One byte for each voxel where that is enough."""
    return volume.astype(np.uint8 if volume.max(initial=0) < 256 else np.uint16)


def _widest(volumes: Sequence[Array]) -> Array:
    return np.stack([volume.astype(np.uint16) for volume in volumes])


def read_volume(file: Path, window: Sequence[float] = (), head: nifti.Head | None = None) -> Array:
    """One volume as whole numbers from 0 to 65,535; `window` is the lowest and highest value that is told apart."""
    volume = read_array(file, head)
    if volume.dtype.kind not in "buif" or volume.ndim != 3 or volume.size == 0:
        raise DataError(
            f"{file} has shape {volume.shape} and type {volume.dtype}; expected three axes of numbers. Export it again."
        )
    if window:
        return windowed(volume, window)
    broken = int((~np.isfinite(volume)).sum())
    if broken:
        raise DataError(
            f"{file} holds {broken:,} voxels that are no finite numbers. Say which range matters, such as "
            "--window -160 240: what is not a number becomes its lowest value."
        )
    if volume.min() < 0 or volume.max() > 65_535 or (volume != np.rint(volume)).any():
        raise DataError(
            f"{file} holds values from {volume.min():.4g} to {volume.max():.4g}, not whole numbers from 0 to 65,535. "
            "Say which range matters, such as --window -160 240."
        )
    return volume.astype(np.uint16)


def read_array(file: Path, head: nifti.Head | None = None) -> Array:
    """The array of a .npy file as it is, or of a NIfTI file as it lies in the body."""
    if file.suffix == ".npy":
        return read_npy(file)
    return nifti.voxels(head or nifti.head(file))


def windowed(volume: Array, window: Sequence[float]) -> Array:
    """The values of a window, spread over 0 to 65,535; what lies outside is clipped, NaN is the lowest value."""
    if len(window) != 2 or window[0] >= window[1]:
        raise DataError(f"The window {window} must be a lowest and a highest value, such as -160 240.")
    low, high = window
    bounded = np.clip(np.nan_to_num(volume.astype(np.float64), nan=low), low, high)
    return np.asarray(np.rint((bounded - low) / (high - low) * 65_535), np.uint16)


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


def is_mask(images: Array) -> bool:
    """Says whether there are no more than two values, one of them 0."""
    values = np.unique(images[: min(len(images), 64)])
    return len(values) <= 2 and values[0] == 0 and len(np.unique(images)) <= 2


def with_depth(images: Array) -> Array:
    """(N, D, H, W) masks -> (N, 2, D, H, W): the mask, and how deep inside each voxel lies (Euclidean)."""
    masks = images > images.max() / 2
    stacked = np.zeros((len(masks), 2, *masks.shape[1:]), np.uint8)
    for place, mask in enumerate(masks):
        stacked[place, 0] = mask * np.uint8(255)
        stacked[place, 1] = np.minimum(ndimage.distance_transform_edt(mask) * DEPTH_STEPS, 255).round()
    return stacked
