"""Any CSV, TSV or Parquet file with one row per cell and time; the user names its columns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.frame import load, only_table
from homeostat.data.ragged import Ragged, offsets_of
from homeostat.data.table import Column, check_named, matrix, numeric, read_table
from homeostat.errors import DataError
from homeostat.recipes.battery.cohort import Cohort, check_times


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


def read(path: Path, columns: Columns, *, needs_target: bool = True) -> Cohort:
    """Rows are grouped by cell, in the order of the file; the times of a cell must not fall.

    Without `needs_target` rows without a target are kept, to be predicted, and the column may be missing.
    """
    file = only_table(path)
    raw = load(file)
    has_target = needs_target or columns.target in raw.columns
    needed = [("cell", columns.cell), ("time", columns.time)]
    needed += [("target", columns.target)] * has_target + [("features", name) for name in columns.features]
    check_named(raw, needed, file.name)
    features = columns.features
    left_out: dict[str, int] = {}
    if not features:
        features, left_out = numeric(raw, (columns.cell, columns.time, columns.target), file.name)
    if columns.target in features:
        raise DataError(
            f"The target {columns.target!r} is also named as a feature. Leave it out of --features."
        )
    table = read_table(
        file,
        [
            Column(name=columns.cell, kind="text"),
            Column(name=columns.time),
            *([Column(name=columns.target, required=needs_target)] if has_target else []),
            *(Column(name=name, required=False) for name in features),
        ],
    )
    if len(table.frame) == 0:
        raise DataError(
            f"{file.name} has no row with a cell, a time and a target. " + "; ".join(table.counts)
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
