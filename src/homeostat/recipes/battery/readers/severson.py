"""The fast-charging set: cycle life per cell, capacity and Q(V) per cycle, and the split that it was published with.

Severson KA, Attia PM, et al., Nature Energy 2019;4:383-391.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.arrays import read_npz
from homeostat.data.frame import load
from homeostat.data.table import Column, Table, matrix, read_table
from homeostat.errors import DataError
from homeostat.recipes.battery.cohort import Cohort

CELLS = "cells.parquet"
CAPACITY = "qd_per_cycle.parquet"
CURVES = "qv.npz"
PARTS = ("train", "valid", "test", "test1", "test2", "primary", "secondary")
CLASSIC = ("log10_var_dQ100_10", "log10_absmin_dQ100_10")

# A cell of 1.1 Ah cannot deliver 30 Ah in a cycle: the counter of the cycler was not reset.
HIGHEST = 1.3


def raw_files(folder: Path) -> list[Path]:
    return [path for path in (folder / CELLS, folder / CAPACITY, folder / CURVES) if os.path.lexists(path)]


def read(folder: Path, *, rated_ah: float) -> Cohort:
    """Time is the cycle number; `qv` (C, cycles, voltages) is what each cell's discharges look like."""
    cells = read_cells(folder / CELLS)
    steps = read_table(
        folder / CAPACITY,
        [Column(name="cell", kind="text"), Column(name="cycle"), Column(name="qd_ah")],
    )
    names = tuple(cells.frame["cell"])
    check_cells(cells.frame, folder / CELLS)
    order = {name: number for number, name in enumerate(names)}
    frame = steps.frame.filter(steps.frame["cell"].is_in(names))
    frame = frame.with_columns(place=frame["cell"].replace_strict(order)).sort("place", "cycle")
    lengths = np.bincount(frame["place"].to_numpy(), minlength=len(names))
    capacity = frame["qd_ah"].to_numpy()
    qv, cycles, broken = curves(folder / CURVES, names, HIGHEST * rated_ah)
    jumped = capacity > HIGHEST * rated_ah
    return Cohort(
        source="severson",
        cells=names,
        steps=lengths,
        time=frame["cycle"].to_numpy(),
        time_unit="cycles",
        target=np.where(jumped, np.nan, capacity / rated_ah),
        target_name="soh",
        inputs=np.empty((len(frame), 0)),
        input_names=(),
        arrays={
            "cycle_life": cells.frame["cycle_life"].cast(pl.Float64).fill_null(np.nan).to_numpy(),
            "split": cells.frame["split"].to_numpy().astype(str),
            "classic": matrix(cells.frame, CLASSIC),
            "qv_ah": qv,
        },
        counts=cells.counts
        | steps.counts
        | {
            f"cycles kept without a target: more than {HIGHEST} times the rated capacity": int(jumped.sum()),
            "Q(V) curves kept as missing: values outside the possible range": broken,
            "rows of capacity for cells that are not in the list of cells, dropped": len(steps.frame)
            - len(frame),
        },
        meta={
            "rated_ah": rated_ah,
            "qv_cycles": cycles.tolist(),
            "qv_order": "from the highest voltage down",
            "classic_names": list(CLASSIC),
        },
    )


def read_cells(path: Path) -> Table:
    """Cells to be predicted come without a life, and cells of one's own without a split or the classic features."""
    held = load(path).columns
    optional = [name for name in ("cycle_life", *CLASSIC) if name in held]
    split = [Column(name="split", kind="text")] if "split" in held else []
    table = read_table(
        path, [Column(name="cell", kind="text"), *split, *(Column(name=n, required=False) for n in optional)]
    )
    absent = [pl.lit(None, pl.Float64).alias(n) for n in ("cycle_life", *CLASSIC) if n not in held]
    frame = table.frame.with_columns(absent + ([] if split else [pl.lit("").alias("split")]))
    lacking = [name for name in ("split", "cycle_life", *CLASSIC) if name not in held]
    counts = {f"column that {path.name} lacks: {name}": 1 for name in lacking}
    return Table(frame=frame, counts=table.counts | counts)


def check_cells(frame: pl.DataFrame, path: Path) -> None:
    """A cell stands in the list once, in a known part, with a positive life."""
    twice = frame["cell"].filter(frame["cell"].is_duplicated())
    if len(twice):
        raise DataError(f"{path} lists the cell {twice[0]} twice. Keep one row for each cell.")
    strange = sorted(set(frame["split"]) - {*PARTS, ""})
    if strange:
        raise DataError(f"{path} has the split {strange[0]!r}; expected one of {', '.join(PARTS)}.")
    early = frame.filter(pl.col("cycle_life") < 1)
    if len(early):
        raise DataError(
            f"{path} gives cell {early['cell'][0]} a life of {early['cycle_life'][0]:g} cycles; expected at least 1, "
            "or nothing."
        )


def curves(path: Path, names: tuple[str, ...], highest_ah: float) -> tuple[np.ndarray, np.ndarray, int]:
    """Q(V) of the named cells, impossible cycles as NaN, and how many these are."""
    archive = read_npz(path)
    shapes = {name: archive[name].shape for name in ("cell", "q_ah", "cycle") if name in archive}
    if [len(shape) for shape in shapes.values()] != [1, 3, 1] or shapes["q_ah"][:2] != shapes[
        "cell"
    ] + shapes["cycle"]:
        raise DataError(
            f"{path} holds arrays of shapes {shapes}; expected cell (C,), q_ah (C, cycles, voltages), cycle (cycles,)."
        )
    cycles = archive["cycle"]
    if (
        cycles.dtype.kind not in "iuf"
        or (np.diff(cycles) <= 0).any()
        or archive["q_ah"].dtype.kind not in "iuf"
    ):
        raise DataError(
            f"{path} holds cycle of type {cycles.dtype} and q_ah of type {archive['q_ah'].dtype}; expected rising "
            "numbers, and numbers. Export it again."
        )
    held = {str(name): number for number, name in enumerate(archive["cell"])}
    absent = [name for name in names if name not in held]
    if absent:
        raise DataError(f"{path.name} has no curves of cell {absent[0]}, which {CELLS} lists.")
    q = archive["q_ah"][[held[name] for name in names]].astype(np.float32)
    # Small negative values are the offset of the current sensor; larger ones are jumps of the counter.
    broken = ((q > highest_ah) | (q < -0.1 * highest_ah) | ~np.isfinite(q)).any(axis=2)
    q[broken] = np.nan
    return q, cycles, int(broken.sum())
