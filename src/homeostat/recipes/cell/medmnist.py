"""MedMNIST 3-D: one .npz with the official split, whose test arrays are used when they are there (Yang et al. 2023)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from homeostat.data.ragged import Array
from homeostat.errors import DataError
from homeostat.recipes.cell.volumes import NO_GROUP, Volumes, from_masks, is_mask

PARTS = {"train": "train", "val": "valid", "test": "test"}


def raw_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder."""
    return [path] if path.is_file() and path.suffix == ".npz" else sorted(path.glob("*.npz"))


def read(path: Path) -> Volumes:
    """Every part that the file holds; images without labels are volumes to predict."""
    files = raw_files(path)
    if len(files) != 1:
        listed = ", ".join(file.name for file in files)
        raise DataError(f"{path} holds {len(files)} .npz files ({listed}). Name the one to read with --data.")
    arrays = load(files[0])
    names = [name for name in PARTS if f"{name}_images" in arrays]
    if not names:
        raise DataError(
            f"{files[0].name} holds {', '.join(arrays)}; expected train_images and "
            "train_labels, and so on for val and test."
        )
    images = np.concatenate([checked(arrays[f"{name}_images"], files[0].name) for name in names])
    labels = [labels_of(arrays, name, files[0].name) for name in names]
    parts = [PARTS[name] for name in names for _ in arrays[f"{name}_images"]]
    masks = is_mask(images)
    voxels, channels = from_masks(images) if masks else (images[:, None], ("intensity",))
    absent = {} if "test" in names else {f"part that is not in {files[0].name}: test": 1}
    return Volumes(
        source="medmnist",
        kind="shape" if masks else "grey",
        ids=tuple(f"{name}-{row:05d}" for name in names for row in range(len(arrays[f"{name}_images"]))),
        voxels=voxels,
        channels=channels,
        label=np.concatenate(labels),
        groups=(NO_GROUP,) * len(images),
        parts=tuple(parts),
        counts=absent,
        meta={"group_name": "", "groups_declared": "absent: the format has no column for patients"},
    )


def load(file: Path) -> dict[str, Array]:
    try:
        with np.load(file, allow_pickle=False) as opened:
            return {name: opened[name] for name in opened.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{file} cannot be read as .npz ({error}). Download it again.") from error


def checked(images: Array, file: str) -> Array:
    if images.ndim != 4 or images.dtype != np.uint8:
        raise DataError(
            f"{file} holds images of shape {images.shape} and type {images.dtype}; expected (n, side, side, side) of "
            "uint8: one of the 3-D sets of MedMNIST."
        )
    return images


def labels_of(arrays: dict[str, Array], name: str, file: str) -> Array:
    count = len(arrays[f"{name}_images"])
    found = arrays.get(f"{name}_labels")
    if found is None:
        return np.full(count, np.nan)
    if found.size != count:
        raise DataError(
            f"{file} has {count} {name} images but labels of shape {found.shape}; expected one each."
        )
    return found.reshape(-1).astype(np.float64)
