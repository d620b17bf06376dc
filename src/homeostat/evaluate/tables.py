"""The files of a run as polars frames: its journal, its alarms, its scores and its predictions."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from homeostat.errors import RunError, command
from homeostat.evaluate import predictions
from homeostat.run import Run, open_run, sealed

# The columns that come first, in this order; the others follow as they appear.
FIRST = ("time", "run", "kind", "epoch", "step")


@dataclass(frozen=True)
class Tables:
    """The tables of one run. Each is read anew when it is asked for, so a live run can be followed."""

    folder: Path

    @property
    def journal(self) -> pl.DataFrame:
        """Return one row per event, those of the runs inside it too, in the order of time."""
        events = [{"run": name, **event} for name, run in _family(Run(self.folder)) for event in run.events()]
        # Text sorts as time does: ISO 8601 in UTC, with a fixed number of digits.
        events.sort(key=lambda event: str(event.get("time", "")))
        return _frame(events)

    @property
    def alarms(self) -> pl.DataFrame:
        """Return one row per alarm of a guard; without a row, no guard has spoken."""
        journal = self.journal
        return _filled(journal.filter(pl.col("kind") == "alarm")) if len(journal) else journal

    @property
    def scores(self) -> pl.DataFrame:
        """Return one row per score of metrics.json, with interval, n, split and model."""
        file = Run(self.folder).metrics_file
        if not sealed.has(file):
            raise RunError(
                f"{self.folder} is not evaluated yet. Call homeostat.evaluate_run on it, or run "
                f"`{command('evaluate', self.folder)}`."
            )
        return _filled(_frame(sealed.read_json(file)["scores"]))

    @property
    def predictions(self) -> pl.DataFrame:
        """Return one row per prediction, with its split and its model: id, subject, targets, outputs and groups."""
        files = sealed.files(Run(self.folder).predictions, "*.parquet")
        if not files:
            raise RunError(
                f"{self.folder} has no predictions. A run writes them at its end: finish it first."
            )
        return pl.concat(map(_predicted, files), how="diagonal_relaxed")


def tables(run: Run | Path | str) -> Tables:
    """Return the tables of a run, which may still be training."""
    return Tables(run.folder if isinstance(run, Run) else open_run(Path(run)).folder)


def _predicted(file: Path) -> pl.DataFrame:
    table = predictions.read(file)
    columns = pl.read_parquet(io.BytesIO(sealed.read(file)))
    return columns.select(pl.lit(table.split).alias("split"), pl.lit(table.model).alias("model"), pl.all())


def _family(run: Run, name: str = "") -> Iterator[tuple[str, Run]]:
    yield name, run
    for child in run.children():
        yield from _family(child, f"{name}/{child.name}" if name else child.name)


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows of one kind of value per column: numbers, booleans or text. What is nested becomes JSON text."""
    names = dict.fromkeys([*FIRST, *(name for row in rows for name in row)])
    columns = {name: [row.get(name) for row in rows] for name in names}
    return pl.DataFrame(
        {name: _column(values) for name, values in columns.items() if any(v is not None for v in values)}
    )


def _column(values: Sequence[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {bool} or kinds <= {str} or kinds <= {int}:
        return pl.Series(values)
    # The journal spells numbers that are not finite; the strings nan, inf and -inf are read as such.
    if kinds <= {int, float} or (kinds <= {int, float, str} and all(map(_is_number, values))):
        return pl.Series([None if value is None else float(value) for value in values], dtype=pl.Float64)
    return pl.Series(
        [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, str) or value in ("nan", "inf", "-inf")


def _filled(table: pl.DataFrame) -> pl.DataFrame:
    """The columns that hold anything in these rows."""
    return (
        table.select(column for column in table if column.null_count() < len(table)) if len(table) else table
    )
