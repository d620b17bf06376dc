"""Laws of times: one moment is one number in every way of writing it, and a time with two readings is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from homeostat.data import clock
from homeostat.errors import DataError

FILE = Path("x.csv")
MOMENTS = [datetime(2026, 11, 21, 9, 30), datetime(2026, 11, 21, 23, 45, 30), datetime(2027, 3, 1, 0, 0)]
HOURS = [(moment - MOMENTS[0]).total_seconds() / 3600 for moment in MOMENTS]


def since_first(column: pl.Series) -> list[float]:
    times = clock.read(column, FILE)
    assert times.kind == "moment"
    return (times.hours - times.hours[0]).to_list()


ZONES = {
    "Z": timedelta(0),
    "+02:00": timedelta(hours=2),
    "-0530": -timedelta(hours=5, minutes=30),
    "UTC": timedelta(0),
}


@pytest.mark.parametrize("between", ["T", " "])
@pytest.mark.parametrize("zone", ["", *ZONES])
def test_date_times_as_text(between: str, zone: str) -> None:
    text = [f"{moment:%Y-%m-%d}{between}{moment:%H:%M:%S}{zone}" for moment in MOMENTS]
    assert since_first(pl.Series("t", text)) == pytest.approx(HOURS)


def test_zones_are_converted() -> None:
    """The same moment in several zones is the same number."""
    zones = [timezone(shift) for shift in ZONES.values()]
    text = [MOMENTS[0].replace(tzinfo=UTC).astimezone(zone).isoformat() for zone in zones]
    times = clock.read(pl.Series("t", text), FILE)
    assert times.hours.n_unique() == 1
    assert "as UTC" in times.zones


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Zurich"])
def test_date_times_of_parquet(unit: str, zone: str | None) -> None:
    column = pl.Series("t", MOMENTS[:2]).cast(pl.Datetime(unit)).dt.replace_time_zone(zone)
    assert since_first(column) == pytest.approx(HOURS[:2])


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        (["00:30", "48:15"], [0.5, 48.25]),
        (["00:30:36", "1:00:00"], [0.51, 1.0]),
        (["1 days 02:30:00", "0 days 00:15:00"], [26.5, 0.25]),
        (["-1 days 23:00:00", "00:30"], [-1.0, 0.5]),
    ],
)
def test_spans(text: list[str], hours: list[float]) -> None:
    times = clock.read(pl.Series("t", text), FILE)
    assert times.kind == "span"
    assert times.hours.to_list() == pytest.approx(hours)


def test_spans_of_parquet() -> None:
    times = clock.read(pl.Series("t", [timedelta(hours=1.5), None]), FILE)
    assert (times.kind, times.hours.to_list()) == ("span", [1.5, None])


@pytest.mark.parametrize("column", [["0.5", "48", ""], [0.5, 48.0, None], ["n/a", "1e1"], []])
def test_numbers_stay_numbers(column: list[object]) -> None:
    assert clock.read(pl.Series("t", column, dtype=None if column else pl.String), FILE).kind == "number"


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (
            ["03/04/2020 10:00", "04/04/2020 11:00"],
            "which number is the day and which the month nobody can tell",
        ),
        (["3.4.2020", "4.4.2020"], "which number is the day"),
        (["2020-04-03", "2020-04-04"], "dates without a time of day, such as '2020-04-03'"),
        ([datetime(2020, 4, 3).date()], "dates without a time of day"),
        (["2020-04-03T10:00Z", "2020-04-03T11:00"], "1 of 2 times .* have no time zone; the others have one"),
        (
            ["2020-04-03T10:00", "2020-04-03T11:00", "12"],
            "1 of 3 times .* otherwise than the others, such as '12'",
        ),
        (["00:30", "01:30", "02:75"], "otherwise than the others, such as '02:75'"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(column: list[object], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        clock.read(pl.Series("t", column), FILE)


def test_a_day_that_does_not_exist_is_missing() -> None:
    text = [f"2020-04-{day:02d}T10:00" for day in range(1, 32)]
    assert clock.read(pl.Series("t", text), FILE).hours.null_count() == 1
