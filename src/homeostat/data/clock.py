"""Read a column of times: numbers, HH:MM, spans of days, or date-times with or without a zone, as hours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from homeostat.data.table import MISSING_WORDS, MOST_UNREADABLE
from homeostat.errors import DataError

Kind = Literal["number", "span", "moment"]

_SPAN = r"^(?:(-?\d+) days?,? *)?\+?(\d{1,4}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?$"
_MOMENT = r"^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::(\d\d(?:\.\d+)?))? *(Z|UTC|GMT|[+-]\d\d:?\d\d)?$"
_DAY = r"^\d{4}-\d\d-\d\d$"
_UNSURE = r"^\d{1,2}[./-]\d{1,2}[./-]\d{2,4}\b.*$"
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Times:
    """A column as hours: as numbers stand, from any one zero, or for moments since 1970 in UTC."""

    hours: pl.Series
    kind: Kind
    zones: str = ""
    """How the zones of moments were read."""


def read(column: pl.Series, path: Path) -> Times:
    """Recognise the form of the column by what is written in it; a number stays the number that it is."""
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype == pl.Date:
        raise DataError(_without_time(column.name, path, str(column.drop_nulls()[0]) if len(column) else ""))
    if isinstance(column.dtype, pl.Datetime):
        zone = column.dtype.time_zone
        moment = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else column
        hours = moment.dt.cast_time_unit("us").dt.epoch("us").cast(pl.Float64) / _HOUR_US
        return Times(hours.alias(column.name), "moment", f"{zone}, as UTC" if zone else "no zone")
    if isinstance(column.dtype, pl.Duration):
        hours = column.dt.total_microseconds().cast(pl.Float64) / _HOUR_US
        return Times(hours.alias(column.name), "span")
    if column.dtype == pl.Time:
        return read(column.dt.to_string("%H:%M:%S"), path)
    if column.dtype != pl.String:
        return Times(column, "number")
    return _text(column.str.strip_chars(), path)


def _text(text: pl.Series, path: Path) -> Times:
    text = pl.select(
        pl.when(~text.str.to_lowercase().is_in(MISSING_WORDS)).then(text).alias(text.name)
    ).to_series()
    written = text.drop_nulls()
    forms = {"span": _SPAN, "moment": _MOMENT, "day": _DAY, "unsure": _UNSURE}
    shares = {
        name: int(written.str.contains(form).sum()) / max(len(written), 1) for name, form in forms.items()
    }
    form = max(shares, key=lambda name: shares[name])
    if shares[form] < 0.5:
        return Times(text, "number")
    if form == "unsure":
        example = written.filter(written.str.contains(_UNSURE))[0]
        raise DataError(
            f"Column {text.name!r} of {path} holds dates such as {example!r}; which number is the day and which the "
            "month nobody can tell. Write them as 2026-11-21T09:30."
        )
    if form == "day":
        raise DataError(_without_time(text.name, path, written[0]))
    times = _spans(text) if form == "span" else _moments(text, path)
    odd = int(written.len() - times.hours.drop_nulls().len())
    if odd > MOST_UNREADABLE * written.len():
        example = text.filter(times.hours.is_null() & text.is_not_null())[0]
        raise DataError(
            f"{odd:,} of {written.len():,} times in column {text.name!r} of {path} are written otherwise than the "
            f"others, such as {example!r}. Write all of them alike."
        )
    return times


def _spans(text: pl.Series) -> Times:
    part = text.str.extract_groups(_SPAN).struct.unnest().cast(pl.Float64, strict=False)
    days, hours, minutes, seconds = part.get_columns()
    whole = days.fill_null(0) * 24 + hours + minutes / 60 + seconds.fill_null(0) / 3600
    return Times(whole.alias(text.name), "span")


def _moments(text: pl.Series, path: Path) -> Times:
    day, clock, seconds, zone = text.str.extract_groups(_MOMENT).struct.unnest().get_columns()
    minute = (day + " " + clock).str.to_datetime("%Y-%m-%d %H:%M", strict=False)
    known = zone.filter(minute.is_not_null())
    if 0 < known.drop_nulls().len() < known.len():
        raise DataError(
            f"{known.null_count():,} of {known.len():,} times in column {text.name!r} of {path} have no time zone; the "
            "others have one. Write a zone in all of them, or in none."
        )
    shift = pl.Series([_offset(word) for word in zone.fill_null("").to_list()], dtype=pl.Float64)
    hours = minute.dt.epoch("us").cast(pl.Float64) / _HOUR_US
    hours = hours + seconds.cast(pl.Float64).fill_null(0) / 3600 - shift
    zones = sorted(known.drop_nulls().unique().to_list())
    listed = f"{', '.join(zones[:3])}{', ...' if len(zones) > 3 else ''}, as UTC" if zones else "no zone"
    return Times(hours.alias(text.name), "moment", listed)


def _offset(zone: str) -> float:
    if not zone.startswith(("+", "-")):
        return 0.0
    digits = zone[1:].replace(":", "")
    return (1 if zone[0] == "+" else -1) * (int(digits[:2]) + int(digits[2:]) / 60)


def _without_time(name: str, path: Path, example: str) -> str:
    return (
        f"Column {name!r} of {path} holds dates without a time of day, such as {example!r}; expected hours, or "
        "date-times such as 2026-11-21T09:30. Write the time of day, too."
    )
