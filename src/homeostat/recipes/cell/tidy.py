"""A table with a row per volume, each volume in a NIfTI or .npy file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.frame import FORMATS, only_table, table_files
from homeostat.data.ragged import Array
from homeostat.data.table import Column, read_table
from homeostat.data.volume import read_stack, volume_files
from homeostat.errors import DataError
from homeostat.recipes.cell.recorded import Recorded
from homeostat.recipes.cell.volumes import NO_GROUP, Volumes, encoded


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
    spacing: tuple[str, ...] = ()
    """Voxel size of NIfTI volumes: one or three numbers in mm; strict refuses volumes that differ in voxel size or
    orientation. Empty: volumes that differ in size are resampled to the median of those in training."""


def raw_files(path: Path) -> list[Path]:
    """The table and the volumes that it can name."""
    listed = [file for file in table_files(path) if file.suffix in FORMATS]
    volumes = volume_files(path if path.is_dir() else path.parent)
    return [*listed, *volumes] if listed and volumes else []


def read(path: Path, columns: Columns) -> Volumes:
    """Volumes in the order of the table."""
    file = only_table(path)
    texts = [name for name in (columns.group, columns.part) if name]
    declared = [Column(name=columns.file, kind="text"), Column(name=columns.label, required=False)]
    table = read_table(file, declared + [Column(name=name, kind="text") for name in texts])
    names = table.frame[columns.file].to_list()
    label, groups = table.frame[columns.label].fill_null(np.nan).to_numpy(), text(table.frame, columns.group)
    check_listed(names, label, groups, file.name)
    parts = text(table.frame, columns.part)
    stack = read_stack(
        file.parent,
        names,
        sides=columns.sides,
        window=columns.window,
        spacing=columns.spacing,
        train=[part == "train" for part in parts],
    )
    kind, voxels, channels = encoded(stack.images)
    recorded = Recorded.of(stack.heads)
    return Volumes(
        source="tidy",
        kind=kind,
        ids=tuple(names),
        voxels=voxels,
        channels=channels,
        label=label,
        groups=groups,
        parts=parts,
        recorded=recorded,
        counts={**table.counts, **stack.counts, **recorded.counts(label)},
        meta={"group_name": columns.group, "spacing_mm": list(stack.spacing_mm)}
        | ({} if columns.group else {"groups_declared": "absent: --group is empty"}),
    )


def check_listed(names: Sequence[str], label: Array, groups: Sequence[str], file: str) -> None:
    """A volume stands in the table once: two rows may disagree on its label or its donor."""
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        first = rows.setdefault(name, row)
        if first == row:
            continue
        differ = [f"the labels {label[first]:g} and {label[row]:g}"] * bool(label[first] != label[row])
        differ += [f"the groups {groups[first]} and {groups[row]}"] * (groups[first] != groups[row])
        raise DataError(
            f"{file} lists the volume {name} twice{', with ' + ' and '.join(differ) if differ else ''}. "
            "Keep one row for each volume."
        )


def text(frame: pl.DataFrame, name: str) -> tuple[str, ...]:
    return tuple(frame[name]) if name else (NO_GROUP,) * len(frame)
