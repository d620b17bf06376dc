"""Read declared columns of a tidy file; drop and count the rows that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from homeostat.data.ragged import Array
from homeostat.errors import DataError, did_you_mean

FORMATS = (".csv", ".tsv", ".parquet")


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
    frame = load(path, suffix=suffix)
    for column in columns:
        if column.name not in frame.columns:
            raise DataError(
                f"{path} has no column {column.name!r}.{did_you_mean(column.name, frame.columns)}"
            )
    frame = frame.select(_typed(column) for column in columns).with_row_index("row", offset=1)
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
    return Table(frame=frame.filter(keep), counts=counts)


def load(path: Path, *, suffix: str | None = None) -> pl.DataFrame:
    """Read the whole file; text files as text, so that nothing is guessed."""
    suffix = suffix or path.suffix
    if suffix not in FORMATS:
        raise DataError(f"{path} is not one of {', '.join(FORMATS)}. Convert it to one of these.")
    try:
        if suffix == ".parquet":
            return pl.read_parquet(path)
        separator = "\t" if suffix == ".tsv" else ","
        # As text: a guess from the first rows turns "007" into 7 and an empty column into nothing.
        return pl.read_csv(path, separator=separator, infer_schema=False)
    except FileNotFoundError as error:
        raise DataError(f"There is no file {path}. Check the path given by --data.") from error
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"{path} cannot be read as {suffix[1:]} ({reason}). Check or export it again."
        ) from error


def table_files(path: Path) -> list[Path]:
    """The file itself, or the tables of a folder."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.glob("*") if file.suffix in FORMATS)


def only_table(path: Path) -> Path:
    """The file itself, or the one table of a folder."""
    files = table_files(path)
    if len(files) != 1:
        raise DataError(
            f"{path} holds {len(files)} tables ({', '.join(FORMATS)}). Name the one to read with --data."
        )
    return files[0]


def check_named(frame: pl.DataFrame, named: Iterable[tuple[str, str]], file: str) -> None:
    """Check that the columns that a user has named by (flag, name) are there, or say which flag to use."""
    for flag, name in named:
        if name not in frame.columns:
            hint = did_you_mean(name, frame.columns)
            raise DataError(f"{file} has no column {name!r}.{hint} Name the right one with --{flag}.")


def numeric(frame: pl.DataFrame, but: Sequence[str], file: str) -> tuple[tuple[str, ...], dict[str, int]]:
    """The other columns that hold numbers, and a count for those that hold none."""
    others = frame.drop(but, strict=False)
    numbers = others.select(pl.all().cast(pl.Float64, strict=False).count())
    counts = numbers.row(0, named=True) if others.width else {}
    text = [name for name, number in counts.items() if not number]
    dropped = {f"column of {file} without any number, left out of the inputs: {name}": 1 for name in text}
    return tuple(name for name, number in counts.items() if number), dropped


def matrix(frame: pl.DataFrame, names: Sequence[str]) -> Array:
    """(rows, names) as float64, missing values as NaN."""
    columns = [frame[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names]
    return np.stack(columns, axis=1) if columns else np.empty((len(frame), 0))


def _typed(column: Column) -> pl.Expr:
    value = pl.col(column.name)
    if column.kind == "text":
        text = value.cast(pl.String).str.strip_chars()
        return pl.when(text != "").then(text).alias(column.name)
    # Not strict: a cell such as "n/a" is missing, and is counted, not a crash at row 40,000.
    number = value.cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number).alias(column.name)
