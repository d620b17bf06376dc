"""Read declared columns of a tidy file; drop and count the rows that cannot be used, and stop if they are many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from homeostat.data.frame import load
from homeostat.data.ragged import Array
from homeostat.errors import DataError, did_you_mean

# One odd value in twenty is no slip of a hand: the column has another meaning, another unit or another format.
MOST_UNREADABLE = 0.05
# Arrays of the stores are float32 where they are measured values.
LARGEST = 3.4e38
# How spreadsheets and databases write that nothing was measured.
MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none", "missing", "-", ".", "?")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One declared column. A row without a usable value in a required column is dropped and counted."""

    name: str
    kind: Literal["number", "text"] = "number"
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """The declared columns of the usable rows, and counts of the faults of the others."""

    frame: pl.DataFrame
    """The declared columns, and `row`: its number in the file, counted from 1 below the header."""
    counts: dict[str, int] = field(default_factory=dict)


def read_table(path: Path, columns: Sequence[Column], *, suffix: str | None = None) -> Table:
    """Read the usable rows. A number is finite or missing; a row without a required one is dropped and named.

    `suffix` tells the format of a file whose name does not, such as comma-separated values in a .txt.
    """
    return usable(load(path, suffix=suffix), columns, path)


def usable(raw: pl.DataFrame, columns: Sequence[Column], path: Path) -> Table:
    """Keep the usable rows of a table that is loaded already; `path` is named in errors."""
    for column in columns:
        if column.name not in raw.columns:
            raise DataError(f"{path} has no column {column.name!r}.{did_you_mean(column.name, raw.columns)}")
    series = [typed(raw[column.name], column, path) for column in columns]
    frame = pl.DataFrame(series).with_row_index("row", offset=1)
    counts: dict[str, int] = {}
    keep = pl.repeat(True, len(frame), eager=True)
    for column in columns:
        missing = frame[column.name].is_null()
        number = int(missing.sum())
        if not number:
            continue
        what = "number" if column.kind == "number" else "text"
        first = int(frame["row"].filter(missing)[0])
        fate = "dropped" if column.required else "kept as missing"
        plural = "rows" if number > 1 else "row"
        where = f"the first is row {first:,}" if number > 1 else f"row {first:,}"
        counts[f"{plural} of {path.name} without a {what} in {column.name!r} ({where}), {fate}"] = number
        if column.required:
            keep &= ~missing
    if not keep.any():
        reasons = f" ({'; '.join(f'{number:,} {what}' for what, number in counts.items())})" if counts else ""
        raise DataError(
            f"{path} holds no usable row{reasons}. Check that it is the right file, or export it again."
        )
    return Table(frame=frame.filter(keep), counts=counts)


def check_named(frame: pl.DataFrame, named: Iterable[tuple[str, str]], file: str) -> None:
    """Check that the columns that a user has named by (flag, name) are there, or say which flag to use."""
    for flag, name in named:
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns)
            raise DataError(f"{file} has no column {name!r}.{hint} Name the right one with --{flag}.")


def numeric(frame: pl.DataFrame, but: Sequence[str], file: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """The other columns that hold numbers, and a count for those that hold none."""
    others = frame.drop(but, strict=False)
    # A nameless column is the number of the row, which programs export beside the data.
    counts = {column.name: _numbers(column) if column.name.strip() else 0 for column in others}
    text = [name or "one without a name" for name, number in counts.items() if not number]
    dropped = {f"column of {file} without any number, left out of the inputs: {name}": 1 for name in text}
    return tuple(name for name, number in counts.items() if number), dropped


def _numbers(column: pl.Series) -> int:
    """How many values are numbers; dates, lists and bytes are none."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype.is_nested() or column.dtype.is_temporal() or column.dtype in (pl.Binary, pl.Object):
        return 0
    return int(column.cast(pl.Float64, strict=False).count())


def matrix(frame: pl.DataFrame, names: Sequence[str]) -> Array:
    """(rows, names) as float64, missing values as NaN."""
    columns = [frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((len(frame), 0))


def typed(raw: pl.Series, column: Column, path: Path) -> pl.Series:
    """The values of one column as text or as finite numbers, null where there are none."""
    if raw.dtype in (pl.Categorical, pl.Enum):
        raw = raw.cast(pl.String)
    if raw.dtype.is_nested() or raw.dtype in (pl.Binary, pl.Object, pl.Duration):
        raise DataError(
            f"Column {column.name!r} of {path} holds {raw.dtype} values; expected one {column.kind} in a cell. "
            "Write one value per row."
        )
    if column.kind == "text":
        return _text(raw, column, path)
    if raw.dtype.is_temporal() or raw.dtype == pl.Boolean:
        raise DataError(
            f"Column {column.name!r} of {path} holds {raw.dtype} values; expected numbers. Write hours, 0 and 1, or "
            "another number instead."
        )
    values = raw.str.strip_chars() if raw.dtype == pl.String else raw
    # Not strict: a cell such as "n/a" is missing, and is counted, not a crash at row 40,000.
    number = values.cast(pl.Float64, strict=False)
    number = _where(number.is_finite() & (number.abs() <= LARGEST), number)
    _check_readable(values, number, column, path)
    return number


def _text(raw: pl.Series, column: Column, path: Path) -> pl.Series:
    if raw.dtype.is_float():
        # A column of whole numbers becomes one of reals as soon as one is missing; 7.0 is the name 7.
        whole = raw.fill_nan(None)
        if whole.drop_nulls().round().equals(whole.drop_nulls()):
            raw = whole.cast(pl.Int64, strict=False)
        else:
            raise DataError(
                f"Column {column.name!r} of {path} holds real numbers such as {whole.drop_nulls()[0]}; expected names. "
                "Name the right column, or write the names as text."
            )
    text = raw.cast(pl.String).str.strip_chars()
    return _where(text != "", text)


def _where(mask: pl.Series, values: pl.Series) -> pl.Series:
    """The values where the mask holds, null elsewhere."""
    # Named at the end: an expression forgets a name that is empty.
    return pl.select(pl.when(mask).then(values)).to_series().alias(values.name)


def _check_readable(values: pl.Series, number: pl.Series, column: Column, path: Path) -> None:
    """Stop where much of what was written is no number; empty cells are missing, and that is no fault."""
    written = values.is_not_null() & ~values.is_nan() if values.dtype.is_float() else values.is_not_null()
    if values.dtype == pl.String:
        written &= ~values.str.to_lowercase().is_in(MISSING_WORDS)
    odd = written & number.is_null()
    share = int(odd.sum()) / max(int(written.sum()), 1)
    if share <= MOST_UNREADABLE or int(odd.sum()) < 2:
        return
    row = int(odd.arg_true()[0])
    example = str(values[row])
    raise DataError(
        f"{share:.0%} of the values in column {column.name!r} of {path} are no numbers, such as {example!r} in row "
        f"{row + 1:,}.{_cause(example)} Check the column, or export the file again."
    )


def _cause(example: str) -> str:
    if re.fullmatch(r"[-+]?\d+,\d+", example):
        return " They have a decimal comma; write a point."
    if re.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*", example):
        return " They look like dates."
    if re.fullmatch(r"[<>]=?\s*[\d.]+", example):
        return " They are limits of a measurement."
    if re.match(r"[-+]?\d[\d.]*\s*[A-Za-z%/]", example):
        return " They have a unit; write the number alone."
    return ""
