"""Any intensive-care data set as one table, a row per observation, as extracts of MIMIC-IV or eICU come.

stay,subject,time_h,variable,value,outcome
30000153,12466550,0.0,Age,61,0
30000153,12466550,0.5,HR,104,0
30000153,12466550,0.5,Lactate,2.1,0
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.frame import FORMATS, load, table_files
from homeostat.data.ragged import Array
from homeostat.data.table import Column, read_table, typed
from homeostat.errors import DataError
from homeostat.recipes.icu.stays import SECOND_BITS, Observations, Stays
from homeostat.recipes.icu.variables import MISSING, SERIES

LONGEST_H = (1 << SECOND_BITS) / 3600 - 1


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of the columns of the table, and the variables that describe the patient."""

    stay: str = "stay"
    """One stay in intensive care; a prediction is made for each."""
    subject: str = "subject"
    """The patient. All stays of a patient go to one part of the split."""
    time: str = "time_h"
    """Hours since admission. Rows before admission are dropped and counted."""
    variable: str = "variable"
    """Name of what was measured. The challenge's names get its physiological ranges."""
    value: str = "value"
    """The measured number."""
    outcome: str = "outcome"
    """1 died in hospital, 0 did not; empty or absent where not known. The same in all rows of a stay."""
    static: tuple[str, ...] = ("Age", "Gender", "Height", "ICUType")
    """Variables that describe the patient; their first value in a stay counts."""
    variables: tuple[str, ...] = ()
    """The series to keep, in this order. Empty: all that occur, the challenge's first."""


def read(path: Path, columns: Columns) -> Stays:
    """Several tables in the folder are read as one."""
    files = table_files(path)
    if not files:
        raise DataError(f"{path} holds no table ({', '.join(FORMATS)}). Check the path given by --data.")
    parts = []
    counts: dict[str, int] = {}
    for file in files:
        frame, dropped = read_rows(file, columns)
        parts.append(frame)
        counts |= dropped
    frame = pl.concat(parts)
    early = frame["time"] < 0
    counts["rows before admission, dropped"] = int(early.sum())
    stays = frame.group_by("stay", maintain_order=True).agg(
        pl.col("subject").unique(), pl.col("outcome").drop_nulls().unique()
    )
    check_stays(stays)
    check_hours(frame["time"], columns.time)
    frame = frame.filter(~early)
    place = {name: number for number, name in enumerate(stays["stay"])}
    frame = frame.with_columns(row=pl.col("stay").replace_strict(place, return_dtype=pl.Int32))
    static = read_static(frame, columns.static, len(stays))
    variables = columns.variables or order(set(frame["variable"].unique()) - set(columns.static))
    series = frame.filter(pl.col("variable").is_in(variables))
    if not len(series):
        raise DataError(
            f"{path} holds no observation of {', '.join(variables[:5]) or 'any variable'} after admission. Check "
            f"--variable {columns.variable}, --time {columns.time} and --variables."
        )
    counts["rows of variables that are not kept, dropped"] = int(
        (~frame["variable"].is_in([*variables, *columns.static])).sum()
    )
    return Stays(
        stay=tuple(stays["stay"]),
        subject=tuple(names[0] for names in stays["subject"]),
        group=("",) * len(stays),
        static=static,
        static_names=columns.static,
        label=np.array(
            [values[0] if len(values) else np.nan for values in stays["outcome"]], dtype=np.float64
        ),
        variables=tuple(variables),
        observations=(observe(series, variables),),
        counts=counts,
        meta={"source": "tidy"},
    )


def read_rows(file: Path, columns: Columns) -> tuple[pl.DataFrame, dict[str, int]]:
    """stay, subject, time, variable, value, outcome under these names; the subject defaults to the stay."""
    held = load(file).columns
    wanted = [
        Column(name=columns.stay, kind="text"),
        Column(name=columns.time),
        Column(name=columns.variable, kind="text"),
        Column(name=columns.value),
    ]
    wanted += [Column(name=columns.subject, kind="text")] if columns.subject in held else []
    # An empty outcome is an answer ("not known") and not worth a count per row.
    table = read_table(file, wanted)
    frame = table.frame.with_columns(outcome=pl.lit(None, pl.Float64))
    if columns.outcome in held:
        outcomes = typed(load(file)[columns.outcome], Column(name=columns.outcome), file)
        frame = frame.with_columns(outcome=outcomes.gather(frame["row"] - 1))
    subject, counts = columns.subject, dict(table.counts)
    if columns.subject not in held:
        subject = columns.stay
        counts[f"column that {file.name} lacks, {columns.subject}: each stay is a patient of its own"] = 1
    return frame.select(
        stay=pl.col(columns.stay),
        subject=pl.col(subject),
        time=pl.col(columns.time),
        variable=pl.col(columns.variable),
        value=pl.col(columns.value),
        outcome=pl.col("outcome"),
    ), counts


def check_hours(time: pl.Series, name: str) -> None:
    """A stay lasts some years at most; more is another unit, such as seconds since 1970."""
    longest = time.max()
    if isinstance(longest, float) and longest > LONGEST_H:
        raise DataError(
            f"Column {name!r} goes up to {longest:,.4g}; expected hours since admission, at most {LONGEST_H:,.0f}. "
            "Check the time unit."
        )


def check_stays(stays: pl.DataFrame) -> None:
    """A stay belongs to one subject and has one outcome of 0 or 1."""
    for stay, subjects, outcomes in stays.rows():
        if len(subjects) > 1:
            raise DataError(
                f"Stay {stay} belongs to subjects {' and '.join(sorted(subjects))}. A stay has one subject."
            )
        if len(outcomes) > 1 or (outcomes and outcomes[0] not in (0, 1)):
            listed = ", ".join(f"{value:g}" for value in sorted(outcomes))
            raise DataError(
                f"Stay {stay} has the outcome {listed}; expected 0 or 1, the same in all its rows."
            )


def read_static(frame: pl.DataFrame, names: tuple[str, ...], stays: int) -> Array:
    """(stays, names): the earliest value of each."""
    static = np.full((stays, len(names)), np.nan)
    known = frame.filter(pl.col("variable").is_in(names) & (pl.col("value") != MISSING)).sort(
        "time", maintain_order=True
    )
    for row, name, value in (
        known.unique(["row", "variable"], keep="first").select("row", "variable", "value").rows()
    ):
        static[row, names.index(name)] = value
    return static


def order(names: set[str]) -> tuple[str, ...]:
    """The challenge's variables in its order, then the others by name."""
    return (*(name for name in SERIES if name in names), *sorted(names - set(SERIES)))


def observe(frame: pl.DataFrame, variables: tuple[str, ...]) -> Observations:
    code = {name: number for number, name in enumerate(variables)}
    return Observations(
        stay=frame["row"].to_numpy(),
        seconds=(frame["time"] * 3600).round().cast(pl.Int64).to_numpy(),
        variable=frame["variable"].replace_strict(code, return_dtype=pl.Int32).to_numpy(),
        value=frame["value"].cast(pl.Float32).to_numpy(),
    )
