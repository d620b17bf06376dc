"""Any intensive-care data set as one table, a row per observation, as extracts of MIMIC-IV or eICU come.

stay,subject,time_h,variable,value,outcome
30000153,12466550,0.0,Age,61,0
30000153,12466550,0.5,HR,104,0
30000153,12466550,0.5,Lactate,2.1,0
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from homeostat.data import clock, names
from homeostat.data.frame import FORMATS, load, table_files
from homeostat.data.ragged import Array
from homeostat.data.table import Column, check_named, usable
from homeostat.errors import DataError
from homeostat.recipes.icu import census
from homeostat.recipes.icu import outcome as outcomes
from homeostat.recipes.icu.stays import SECOND_BITS, Observations, Stays
from homeostat.recipes.icu.variables import MISSING, SERIES, STATIC

TimeUnit = Literal["auto", "hours", "minutes", "seconds", "days"]
HOURS_IN = {"minutes": 1 / 60, "seconds": 1 / 3600, "days": 24.0}
# Half of the patients of an intensive care unit leave within three days. A cohort of long stays has a median of ten.
LONGEST_MEDIAN_H = 600.0

LONGEST_H = (1 << SECOND_BITS) / 3600 - 1


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of the columns of the table, and the variables that describe the patient."""

    stay: str = "stay"
    """One stay in intensive care; a prediction is made for each."""
    subject: str = "subject"
    """The patient. All stays of a patient go to one part of the split."""
    time: str = "time_h"
    """Hours since admission, HH:MM, or date-times. Rows before admission are dropped and counted."""
    time_unit: TimeUnit = "auto"
    """Unit of times that are written as numbers; auto takes hours, and stops where these can only be minutes."""
    admission: str = "admission"
    """Date-time of the admission, where times are date-times. Absent: the first row of a stay is its hour 0."""
    variable: str = "variable"
    """Name of what was measured. The challenge's names get its physiological ranges."""
    value: str = "value"
    """The measured number."""
    outcome: str = "outcome"
    """1 died in hospital, 0 did not (or yes and no, died and survived, dead and alive); empty or absent where not
    known. The same in all rows of a stay."""
    static: tuple[str, ...] = ("Age", "Gender", "Height", "ICUType")
    """Variables that describe the patient; their first value in a stay counts."""
    variables: tuple[str, ...] = ()
    """The series to keep, in this order. Empty: all that occur, the challenge's first."""


def read(path: Path, columns: Columns) -> Stays:
    """Several tables in the folder are read as one."""
    files = table_files(path)
    if not files:
        raise DataError(f"{path} holds no table ({', '.join(FORMATS)}). Check the path given by --data.")
    parts, kinds = [], set()
    counts: dict[str, int] = {}
    for file in files:
        frame, kind, notes = read_rows(file, columns)
        parts.append(frame)
        kinds.add(kind)
        counts |= notes
    if len(kinds) > 1:
        raise DataError(
            f"The tables in {path} write times as {' and '.join(sorted(kinds))}s. Write them alike."
        )
    frame, since = since_admission(pl.concat(parts), kinds.pop(), columns)
    copies = frame.height - frame.n_unique()
    counts |= since | {"rows that are exact copies of another, averaged with it": copies}
    early = frame["time"] < 0
    counts["rows before admission, dropped"] = int(early.sum())
    stays = frame.group_by("stay", maintain_order=True).agg(
        pl.col("subject").unique(), pl.col("outcome").drop_nulls().unique(), pl.col("time").max()
    )
    check_stays(stays)
    check_hours(stays["time"], columns)
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
    unknown = sum(not len(values) for values in stays["outcome"])
    counts["stays without an outcome, kept"] = unknown if unknown < len(stays) else 0
    counts |= census.rare(series)
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


def read_rows(file: Path, columns: Columns) -> tuple[pl.DataFrame, clock.Kind, dict[str, int]]:
    """stay, subject, time, variable, value, outcome, admission under these names; the subject defaults to the stay."""
    needed = (columns.stay, columns.time, columns.variable, columns.value)
    optional = (columns.subject, columns.outcome, columns.admission)
    frame, counts = names.rename(load(file), (*needed, *optional), file.name)
    check_named(frame, zip(("stay", "time", "variable", "value"), needed, strict=True), file.name)
    held = frame.columns
    times = clock.read(frame[columns.time], file)
    frame = frame.with_columns(times.hours)
    if times.zones:
        counts[f"column of {file.name} with date-times ({times.zones}): {columns.time!r}"] = 1
    known = {*SERIES, *STATIC, *columns.static, *columns.variables}
    if frame[columns.variable].dtype in (pl.Categorical, pl.Enum):
        frame = frame.with_columns(pl.col(columns.variable).cast(pl.String))
    if frame[columns.variable].dtype == pl.String:
        variable, renamed = names.renamed(frame[columns.variable], known)
        frame, counts = frame.with_columns(variable), counts | renamed
        frame = frame.with_columns(sexes(frame, columns))
    wanted = [
        Column(name=columns.stay, kind="text"),
        Column(name=columns.time),
        Column(name=columns.variable, kind="text"),
        Column(name=columns.value),
    ]
    wanted += [Column(name=columns.subject, kind="text")] if columns.subject in held else []
    table = usable(frame, wanted, file)
    counts |= table.counts
    # An empty outcome is an answer ("not known") and not worth a count per row.
    nothing = pl.Series([None] * len(frame), dtype=pl.Float64)
    outcome, admission = nothing, nothing
    if columns.outcome in held:
        outcome, words = outcomes.read(frame[columns.outcome], file)
        counts |= words
    if columns.admission in held and times.kind == "moment":
        admission = admitted(frame[columns.admission], file)
    beside = pl.DataFrame({"outcome": outcome, "admission": admission}).with_row_index("row", offset=1)
    joined = table.frame.join(beside, on="row", how="left", maintain_order="left")
    subject = columns.subject
    if columns.subject not in held:
        subject = columns.stay
        counts[f"column that {file.name} lacks, {columns.subject}: each stay is a patient of its own"] = 1
    chosen = joined.select(
        stay=pl.col(columns.stay),
        subject=pl.col(subject),
        time=pl.col(columns.time),
        variable=pl.col(columns.variable),
        value=pl.col(columns.value),
        outcome=pl.col("outcome"),
        admission=pl.col("admission"),
    )
    return chosen, times.kind, counts


def admitted(column: pl.Series, file: Path) -> pl.Series:
    """The moments of admission, in hours since 1970."""
    times = clock.read(column, file)
    if times.kind != "moment":
        raise DataError(
            f"Column {column.name!r} of {file.name} holds {times.kind}s, while the times are date-times. Write the "
            "admission as a date-time, too."
        )
    return times.hours


def sexes(frame: pl.DataFrame, columns: Columns) -> pl.Series:
    """The column of values, with the words for the sexes as numbers in the rows of Gender."""
    value = frame[columns.value]
    if value.dtype != pl.String:
        return value
    words = pl.col(columns.value).str.strip_chars().str.to_lowercase()
    number = words.replace_strict({"f": "0", "female": "0", "m": "1", "male": "1"}, default=None)
    is_sex = (pl.col(columns.variable) == "Gender") & number.is_not_null()
    return frame.select(
        pl.when(is_sex).then(number).otherwise(pl.col(columns.value)).alias(value.name)
    ).to_series()


def since_admission(
    frame: pl.DataFrame, kind: clock.Kind, columns: Columns
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Times as hours since admission, or since the first row of the stay where no admission is known."""
    if kind == "number":
        hours = frame["time"] * HOURS_IN.get(columns.time_unit, 1.0)
        return frame.drop("admission").with_columns(time=hours), {}
    if kind == "span":
        return frame.drop("admission"), {}
    first = pl.col("admission").drop_nulls().n_unique().over("stay")
    several = frame.filter(first > 1)
    if len(several):
        raise DataError(
            f"Stay {several['stay'][0]} has two admissions. A stay has one, the same in all its rows."
        )
    is_known = pl.col("admission").drop_nulls().first().over("stay").is_not_null()
    zero = pl.coalesce(
        pl.col("admission").drop_nulls().first().over("stay"), pl.col("time").min().over("stay")
    )
    stays = frame.select("stay", known=is_known).unique()
    counts = {
        f"stays whose hours count from {columns.admission!r}": int(stays["known"].sum()),
        "stays whose hours count from their first row (name the admission with --admission)": int(
            (~stays["known"]).sum()
        ),
    }
    return frame.with_columns(time=pl.col("time") - zero).drop("admission"), counts


def check_hours(last: pl.Series, columns: Columns) -> None:
    """Stop where the hours of the stays can only be minutes or seconds. `last` is the latest time of each stay."""
    longest = last.max()
    if isinstance(longest, float) and longest > LONGEST_H:
        raise DataError(
            f"Column {columns.time!r} goes up to {longest:,.4g}; expected hours since admission, at most "
            f"{LONGEST_H:,.0f}. Check the time unit, or name it with --time-unit."
        )
    middle = last.median()
    if columns.time_unit != "auto" or not isinstance(middle, float) or middle <= LONGEST_MEDIAN_H:
        return
    unit = "seconds" if middle > 60 * LONGEST_MEDIAN_H else "minutes"
    raise DataError(
        f"Half of the {len(last):,} stays last longer than {middle:,.0f} hours ({middle / 24:,.0f} days); expected "
        f"hours since admission. These look like {unit}: convert with --time-unit {unit}. If they are hours, say "
        "--time-unit hours."
    )


def check_stays(stays: pl.DataFrame) -> None:
    """A stay belongs to one subject and has one outcome of 0 or 1."""
    for stay, subjects, labels in stays.select("stay", "subject", "outcome").rows():
        if len(subjects) > 1:
            raise DataError(
                f"Stay {stay} belongs to subjects {' and '.join(sorted(subjects))}. A stay has one subject."
            )
        if len(labels) > 1 or (labels and labels[0] not in (0, 1)):
            listed = ", ".join(f"{value:g}" for value in sorted(labels))
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
