"""Any CSV, TSV or Parquet file with one row per cell and time; the user names its columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.ragged import Ragged, offsets_of
from homeostat.data.table import FORMATS, Column, load, read_table
from homeostat.errors import DataError, did_you_mean
from homeostat.recipes.battery.cohort import Cohort, check_times, matrix


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of the columns of a tidy file."""

    cell: str = "cell"
    """Name of the cell that a row belongs to."""
    time: str = "time"
    """Time of the row, in any one unit; `time_unit` names it in reports."""
    target: str = "soh"
    """The column that is predicted. In training a row without it is dropped and counted."""
    features: tuple[str, ...] = ()
    """Inputs. Empty: all other columns."""
    time_unit: str = "days"
    """Unit of the time column."""


def raw_files(path: Path) -> list[Path]:
    """The file itself, or the one table of a folder."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.glob("*") if file.suffix in FORMATS)


def read(path: Path, columns: Columns, *, needs_target: bool = True) -> Cohort:
    """Rows are grouped by cell, in the order of the file; the times of a cell must not fall.

    Without `needs_target` rows without a target are kept, to be predicted, and the column may be missing.
    """
    files = raw_files(path)
    if len(files) != 1:
        raise DataError(
            f"{path} holds {len(files)} tables ({', '.join(FORMATS)}). Name the one to read with --data."
        )
    named = (columns.cell, columns.time, columns.target)
    raw = load(files[0])
    has_target = needs_target or columns.target in raw.columns
    check_names(raw, columns, files[0].name, has_target=has_target)
    left_out: dict[str, int] = {}
    features = columns.features
    if not features:
        features, left_out = numeric(raw, named, files[0].name)
    if columns.target in features:
        raise DataError(
            f"The target {columns.target!r} is also named as a feature. Leave it out of --features."
        )
    table = read_table(
        files[0],
        [
            Column(name=columns.cell, kind="text"),
            Column(name=columns.time),
            *([Column(name=columns.target, required=needs_target)] if has_target else []),
            *(Column(name=name, required=False) for name in features),
        ],
    )
    if len(table.frame) == 0:
        raise DataError(
            f"{files[0].name} has no row with a cell, a time and a target. " + "; ".join(table.counts)
        )
    frame = table.frame.sort(columns.cell, maintain_order=True)
    cells = frame.group_by(columns.cell, maintain_order=True).agg(pl.len())
    steps = cells["len"].to_numpy()
    time = frame[columns.time].to_numpy()
    check_times(cells[columns.cell], Ragged(time, offsets_of(steps)), columns.time_unit)
    return Cohort(
        source="tidy",
        cells=tuple(cells[columns.cell]),
        steps=steps,
        time=time,
        time_unit=columns.time_unit,
        target=frame[columns.target].to_numpy() if has_target else np.full(len(frame), np.nan),
        target_name=columns.target,
        inputs=matrix(frame, features),
        input_names=features,
        counts=table.counts | left_out,
    )


def check_names(frame: pl.DataFrame, columns: Columns, file: str, *, has_target: bool) -> None:
    """Check that the columns that a user has to name are there, or say by which flag to name them."""
    needed = [("cell", columns.cell), ("time", columns.time)]
    needed += [("target", columns.target)] * has_target + [("features", name) for name in columns.features]
    for flag, name in needed:
        if name not in frame.columns:
            known = did_you_mean(name, frame.columns)
            raise DataError(f"{file} has no column {name!r}.{known} Name the right one with --{flag}.")


def numeric(frame: pl.DataFrame, named: tuple[str, ...], file: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """The other columns that hold numbers, and a count for those that hold none."""
    others = frame.drop(named, strict=False)
    counts = (
        others.select(pl.all().cast(pl.Float64, strict=False).count()).row(0, named=True)
        if others.width
        else {}
    )
    text = [name for name, number in counts.items() if not number]
    dropped = {f"column of {file} without any number, left out of the inputs: {name}": 1 for name in text}
    return tuple(name for name, number in counts.items() if number), dropped
