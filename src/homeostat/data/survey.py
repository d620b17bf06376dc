"""Survey the columns of a table before anybody says what they mean: kind, empty share, range, examples."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from homeostat.data import clock
from homeostat.data.names import skeleton
from homeostat.data.table import MISSING_WORDS
from homeostat.errors import DataError

Kind = Literal["number", "text", "time span", "date-time", "yes or no", "date", "list", "empty"]
# A column is of a kind when nearly everything that is written in it is.
NEARLY_ALL = 0.95
EXAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column as it comes."""

    name: str
    kind: Kind
    rows: int
    empty: int
    distinct: int
    low: float | None = None
    median: float | None = None
    high: float | None = None
    examples: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """The range of numbers, or some values of a text."""
        if self.low is None or self.median is None or self.high is None:
            return ", ".join(self.examples)
        return f"{self.low:.4g} to {self.high:.4g}, median {self.median:.4g}"


def survey(frame: pl.DataFrame, path: Path) -> list[Column]:
    """Describe every column of a table."""
    return [_column(frame[name], path) for name in frame.columns]


def _column(raw: pl.Series, path: Path) -> Column:
    values = raw.cast(pl.String) if raw.dtype in (pl.Categorical, pl.Enum) else raw
    if values.dtype.is_nested() or values.dtype in (pl.Binary, pl.Object):
        return Column(name=raw.name, kind="list", rows=len(raw), empty=raw.null_count(), distinct=0)
    text = values.cast(pl.String).str.strip_chars()
    written = text.filter(~text.str.to_lowercase().is_in(MISSING_WORDS)).drop_nulls()
    number = written.cast(pl.Float64, strict=False).fill_nan(None)
    number = number.filter(number.is_finite()).drop_nulls()
    kind = _kind(values, written, number, path)
    points = (number.min(), number.median(), number.max()) if kind == "number" else (None, None, None)
    low, median, high = (None if point is None else float(str(point)) for point in points)
    return Column(
        name=raw.name,
        kind=kind,
        rows=len(raw),
        empty=len(raw) - len(written),
        distinct=written.n_unique(),
        low=low,
        median=median,
        high=high,
        examples=tuple(word[:20] for word in written.unique(maintain_order=True).head(EXAMPLES).to_list()),
    )


def _kind(values: pl.Series, written: pl.Series, number: pl.Series, path: Path) -> Kind:
    if not len(written):
        return "empty"
    if values.dtype == pl.Boolean:
        return "yes or no"
    if values.dtype == pl.Date:
        return "date"
    if len(number) >= NEARLY_ALL * len(written):
        return "number"
    try:
        times = clock.read(values, path)
    except DataError:
        return "date"
    if times.kind != "number":
        return "time span" if times.kind == "span" else "date-time"
    return "text"


def plain(name: str) -> str:
    """A name without case, blanks and signs, as roles are compared."""
    return re.sub(r"[^a-z0-9]", "", skeleton(name))


def named(columns: Iterable[Column], words: Sequence[str], *kinds: Kind) -> str:
    """The column whose name is the earliest of some words, of one of these kinds; empty if there is none."""
    by_name = {plain(column.name): column for column in columns if not kinds or column.kind in kinds}
    return next((by_name[plain(word)].name for word in words if plain(word) in by_name), "")
