"""MedMNIST: one .npz with the official split, whose test arrays are used when they are there (Yang et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from homeostat.data.arrays import read_npz
from homeostat.data.ragged import Array
from homeostat.errors import DataError

PARTS = {"train": "train", "val": "valid", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class Images:
    """N images of one set."""

    ids: tuple[str, ...]
    images: Array
    """(N, side, ...), uint8."""
    labels: Array
    """(N, targets); NaN where the file has none."""
    parts: tuple[str, ...]
    """train, valid or test."""
    counts: Mapping[str, int]


def raw_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder."""
    return [path] if path.is_file() and path.suffix == ".npz" else sorted(path.glob("*.npz"))


def read(path: Path, *, axes: int, targets: int = 1) -> Images:
    """Every part that the file holds, as images of so many axes; those without labels are there to be predicted."""
    files = raw_files(path)
    if len(files) != 1:
        listed = ", ".join(file.name for file in files)
        raise DataError(f"{path} holds {len(files)} .npz files ({listed}). Name the one to read with --data.")
    file, arrays = files[0].name, read_npz(files[0])
    names = [name for name in PARTS if f"{name}_images" in arrays]
    if not names:
        raise DataError(
            f"{file} holds {', '.join(arrays)}; expected train_images and train_labels, and so on for val and test."
        )
    images = [checked(arrays[f"{name}_images"], file, axes) for name in names]
    sides = {array.shape[1:] for array in images}
    if len(sides) > 1:
        listed = " and ".join(" x ".join(map(str, shape)) for shape in sorted(sides))
        raise DataError(f"{file} holds images of {listed} pixels. The parts of one set have one size.")
    if not sum(map(len, images)):
        raise DataError(f"{file} holds no image. Download it again.")
    sizes = dict(zip(names, map(len, images), strict=True))
    labels = [labels_of(arrays, name, sizes[name], targets, file) for name in names]
    counts = {f"part that is not in {file}: {PARTS[name]}": 1 for name in PARTS if name not in names}
    for name, held in zip(names, labels, strict=True):
        if f"{name}_labels" in arrays and np.isnan(held).any():
            counts[f"images of {PARTS[name]} without a label, kept to be predicted"] = int(
                np.isnan(held).any(1).sum()
            )
    return Images(
        ids=tuple(f"{name}-{row:05d}" for name, size in sizes.items() for row in range(size)),
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        parts=tuple(PARTS[name] for name, size in sizes.items() for _ in range(size)),
        counts=counts,
    )


def checked(images: Array, file: str, axes: int) -> Array:
    if images.ndim != 1 + axes or images.dtype != np.uint8 or 0 in images.shape[1:]:
        raise DataError(
            f"{file} holds images of shape {images.shape} and type {images.dtype}; expected "
            f"({', '.join(['n', *['side'] * axes])}) of uint8: one of the {axes}-D sets of MedMNIST."
        )
    return images


def labels_of(arrays: Mapping[str, Array], name: str, count: int, targets: int, file: str) -> Array:
    held = arrays.get(f"{name}_labels")
    if held is None:
        return np.full((count, targets), np.nan)
    if held.size != count * targets:
        each = "one" if targets == 1 else f"{targets}"
        raise DataError(
            f"{file} has {count} {name} images but labels of shape {held.shape}; expected {each} each."
        )
    labels = held.astype(np.float64) if held.dtype.kind in "buif" else np.full(held.shape, np.inf)
    wrong = ~np.isin(labels, (0, 1)) & ~np.isnan(labels)
    if wrong.any():
        raise DataError(
            f"{file} has {name} labels such as {held[wrong].flat[0]!r} ({int(wrong.sum()):,} of {held.size:,}); "
            "expected 0 and 1. Only sets of two classes, or of several yes and no labels, can be read."
        )
    return labels.reshape(count, targets)
