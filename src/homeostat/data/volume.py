"""Read volumes from NIfTI and .npy files, and bring them to one size, as whole numbers from 0 to 65,535."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from homeostat.data import border
from homeostat.data.arrays import read_npy
from homeostat.data.ragged import Array
from homeostat.errors import DataError

ENDINGS = (".nii", ".nii.gz", ".npy")
# Depth is kept in 1/32 of a voxel's side up to 8 voxels: what lies deeper is thick by any measure.
DEPTH_STEPS = 32


def volume_files(folder: Path) -> list[Path]:
    """The volumes in a folder and below it."""
    return [file for file in sorted(folder.rglob("*")) if file.name.endswith(ENDINGS)]


def read_stack(folder: Path, names: Sequence[str], *, sides: Sequence[int], window: Sequence[float]) -> Array:
    """(N, D, H, W) of the named files; without sides they must have one size as they are."""
    volumes = [read_volume(border.named(folder, name), window) for name in names]
    size = tuple(sides) or volumes[0].shape
    for volume, name in zip(volumes, names, strict=True):
        if volume.ndim != 3 or len(size) != 3:
            raise DataError(f"{name} has shape {volume.shape}; expected three axes.")
        if not sides and volume.shape != size:
            raise DataError(
                f"{name} has shape {volume.shape}, {names[0]} has {size}. Name one size: --sides 64 64 64."
            )
    kind = np.uint8 if max(int(volume.max()) for volume in volumes) < 256 else np.uint16
    return np.stack([fitted(volume, size).astype(kind) for volume in volumes])


def read_volume(file: Path, window: Sequence[float] = ()) -> Array:
    """One volume as whole numbers from 0 to 65,535; `window` is the lowest and highest value that is told apart."""
    volume = read_array(file)
    if window:
        return windowed(volume, window)
    if not np.isfinite(volume).all() or volume.min() < 0 or volume.max() > 65_535 or (volume % 1).any():
        raise DataError(
            f"{file} holds values from {volume.min():.4g} to {volume.max():.4g}, not whole numbers from 0 to 65,535. "
            "Say which range matters, such as --window -160 240."
        )
    return volume.astype(np.uint16)


def read_array(file: Path) -> Array:
    """The array of a .npy or NIfTI file as it is."""
    if file.suffix == ".npy":
        return read_npy(file)
    border.regular(file)
    try:
        return np.asarray(nibabel.nifti1.Nifti1Image.from_filename(file).dataobj)
    except (OSError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise DataError(f"{file} cannot be read ({error}). Export it again.") from error


def windowed(volume: Array, window: Sequence[float]) -> Array:
    """The values of a window, spread over 0 to 65,535; what lies outside is clipped, NaN is the lowest value."""
    if len(window) != 2 or window[0] >= window[1]:
        raise DataError(f"The window {window} must be a lowest and a highest value, such as -160 240.")
    low, high = window
    share = (np.nan_to_num(volume.astype(np.float64), nan=low) - low) / (high - low)
    return np.asarray(np.rint(np.clip(share, 0, 1) * 65_535), np.uint16)


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
