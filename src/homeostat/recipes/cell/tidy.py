"""A table with a row per volume, each volume in a NIfTI or .npy file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import polars as pl

from homeostat.data.ragged import Array
from homeostat.data.table import FORMATS, Column, read_table
from homeostat.errors import DataError
from homeostat.recipes.cell.volumes import NO_GROUP, Volumes, fitted, from_masks, is_mask

ENDINGS = (".nii", ".nii.gz", ".npy")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """How the columns of the table are called, and what is done to its volumes."""

    file: str = "file"
    """Path of the volume (.nii, .nii.gz, .npy), from the folder of the table."""
    label: str = "label"
    """0 or 1; empty where it is not known."""
    group: str = "donor"
    """Whose volume it is; volumes of one group are never on both sides of a split. Empty: there is none."""
    part: str = ""
    """train, valid or test, where the data come with a split."""
    sides: tuple[int, ...] = ()
    """Cut or pad every volume to these sides around its middle. Empty: they must be equal as they are."""
    window: tuple[float, ...] = ()
    """Lowest and highest value that is told apart; needed where values are not whole numbers from 0 to 65,535."""


def raw_files(path: Path) -> list[Path]:
    """The table and the volumes that it can name."""
    tables = table_files(path)
    folder = path if path.is_dir() else path.parent
    volumes = [file for file in sorted(folder.rglob("*")) if file.name.endswith(ENDINGS)]
    return [*tables, *volumes] if tables and volumes else []


def table_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix in FORMATS else []
    return sorted(file for file in path.glob("*") if file.suffix in FORMATS)


def read(path: Path, columns: Columns) -> Volumes:
    """Volumes in the order of the table."""
    files = table_files(path)
    if len(files) != 1:
        raise DataError(
            f"{path} holds {len(files)} tables ({', '.join(FORMATS)}). Name the one to read with --data."
        )
    texts = [name for name in (columns.group, columns.part) if name]
    declared = [Column(name=columns.file, kind="text"), Column(name=columns.label, required=False)]
    table = read_table(files[0], declared + [Column(name=name, kind="text") for name in texts])
    names = table.frame[columns.file].to_list()
    volumes = np.stack(stacked([load(files[0].parent / name, columns) for name in names], names, columns))
    masks = is_mask(volumes)
    voxels, channels = from_masks(volumes) if masks else (volumes[:, None], ("intensity",))
    return Volumes(
        source="tidy",
        kind="shape" if masks else "grey",
        ids=tuple(names),
        voxels=voxels,
        channels=channels,
        label=table.frame[columns.label].fill_null(np.nan).to_numpy(),
        groups=text(table.frame, columns.group),
        parts=text(table.frame, columns.part),
        counts=table.counts,
        meta={"group_name": columns.group}
        | ({} if columns.group else {"groups_declared": "absent: --group is empty"}),
    )


def text(frame: pl.DataFrame, name: str) -> tuple[str, ...]:
    return tuple(frame[name]) if name else (NO_GROUP,) * len(frame)


def stacked(volumes: list[Array], names: list[str], columns: Columns) -> list[Array]:
    """All of one size and type."""
    sides = columns.sides or volumes[0].shape
    for volume, name in zip(volumes, names, strict=True):
        if volume.ndim != 3 or len(sides) != 3:
            raise DataError(f"{name} has shape {volume.shape}; expected three axes.")
        if not columns.sides and volume.shape != sides:
            raise DataError(
                f"{name} has shape {volume.shape}, {names[0]} has {sides}. Name one size: --sides 64 64 64."
            )
    kind = np.uint8 if max(int(volume.max()) for volume in volumes) < 256 else np.uint16
    return [fitted(volume, sides).astype(kind) for volume in volumes]


def load(file: Path, columns: Columns) -> Array:
    """One volume as whole numbers from 0 to 65,535."""
    if not file.exists():
        raise DataError(f"There is no file {file}, which the table names.")
    try:
        if file.suffix == ".npy":
            volume: Array = np.load(file, allow_pickle=False)
        else:
            volume = np.asarray(nibabel.nifti1.Nifti1Image.from_filename(file).dataobj)
    except (OSError, ValueError, nibabel.filebasedimages.ImageFileError) as error:
        raise DataError(f"{file} cannot be read ({error}). Export it again.") from error
    if columns.window:
        return windowed(volume, columns.window)
    if not np.isfinite(volume).all() or volume.min() < 0 or volume.max() > 65_535 or (volume % 1).any():
        raise DataError(
            f"{file} holds values from {volume.min():.4g} to {volume.max():.4g}, not whole numbers from 0 to 65,535. "
            "Say which range matters, such as --window -160 240."
        )
    return volume.astype(np.uint16)


def windowed(volume: Array, window: tuple[float, ...]) -> Array:
    if len(window) != 2 or window[0] >= window[1]:
        raise DataError(f"The window {window} must be a lowest and a highest value, such as -160 240.")
    low, high = window
    share = (np.nan_to_num(volume.astype(np.float64), nan=low) - low) / (high - low)
    return np.asarray(np.rint(np.clip(share, 0, 1) * 65_535), np.uint16)
