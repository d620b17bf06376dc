"""Write the section of the preparation: what was dropped, clipped or converted of each variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeostat.report import tables
from homeostat.report.collect import Collected
from homeostat.report.layout import section
from homeostat.report.words import count, escape, number, short

# The variables with the largest share are shown; the others are counted in environment.json.
SHOWN = 12


def preparation(run: Collected) -> str:
    """Write the counts of the store, and a row for each variable that came with impossible or converted values."""
    data = run.environment.get("data")
    if not isinstance(data, Mapping) or not data.get("counts"):
        return ""
    rows = [row for row in data.get("profiles", ()) if row.get("outside") or _is_converted(row)]
    rows.sort(key=lambda row: -_share(row))
    table = tables.table(
        ("Variable", "unit", "came in", "values", "impossible", "share", "median"),
        [_cells(row) for row in rows[:SHOWN]],
        numeric=(3, 4, 5, 6),
    )
    listed = "".join(
        f"<li>{count(int(how_many))} {escape(short(str(what), 200))}</li>"
        for what, how_many in data["counts"].items()
    )
    every = f"<details><summary>Every count of the preparation</summary><ul>{listed}</ul></details>"
    lead = "Rows and values that could not be used as they came."
    fates = sorted({str(row.get("fate", "clipped")) for row in rows})
    lead += f" Impossible values were {' or '.join(fates)}." if rows else ""
    return section("Preparation of the data", (table if rows else "") + every, lead)


def _is_converted(row: Mapping[str, Any]) -> bool:
    return bool(row.get("read_as", row.get("unit")) != row.get("unit"))


def _share(row: Mapping[str, Any]) -> float:
    return float(row.get("outside", 0)) / max(float(row.get("came", 0)), 1.0)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    points = row.get("points") or [None]
    return (
        escape(short(str(row["variable"]))),
        escape(row.get("unit", "")),
        escape(row.get("read_as", "")) if _is_converted(row) else "",
        count(int(row.get("came", 0))),
        count(int(row.get("outside", 0))),
        f"{100 * _share(row):.2g} %",
        number(points[len(points) // 2]),
    )
