"""From raw intensive-care data to a store: the layout is recognised by the names of the files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from homeostat.data import clock, drift, frame, names, ragged, table
from homeostat.data.blueprint import Blueprint
from homeostat.errors import DataError
from homeostat.recipes.icu import census, challenge, doubt, outcome, stays, tidy, units, variables
from homeostat.recipes.icu.census import Impossible, Treatment

_SHARED = (census, doubt, stays, units, variables, drift, frame, table, ragged)

Source = Literal["auto", "challenge", "tidy"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """The choices of turning raw intensive-care data into a store."""

    source: Source = "auto"
    """Layout of the raw data; auto looks at the names of the files."""
    impossible: Impossible = "clip"
    """Clip values that no body can show to the range, or drop them. They are counted either way, and more than 5 % of
    a variable stop the preparation."""
    units: tuple[str, ...] = ()
    """Variables that come in another unit, such as Temp=F Glucose=mmol/L. They are converted. Naming the variable's own
    unit says that its values were checked: nothing stops then."""
    columns: tidy.Columns = field(default_factory=tidy.Columns)
    """Column names of a tidy table."""

    def __post_init__(self) -> None:
        units.parse(self.units)

    @property
    def treatment(self) -> Treatment:
        return Treatment(impossible=self.impossible, units=units.parse(self.units))

    @property
    def parameters(self) -> dict[str, Any]:
        """The choices that decide the values of a store in every layout."""
        return {"impossible": self.impossible, "units": sorted(self.units)}


def blueprint(raw: Path, options: Preparation) -> Blueprint:
    """The layout that is asked for, or the one whose files are there."""
    if not raw.exists():
        raise DataError(f"There is nothing at {raw}. Check the path given by --data.")
    layout = challenge.find(raw) if raw.is_dir() and options.source != "tidy" else None
    if layout and (layout.records or options.source == "challenge"):
        return Blueprint(
            name="icu-challenge",
            raw=layout.raw,
            code=[challenge, *_SHARED],
            parameters=options.parameters,
            write=lambda writer: challenge.read(layout).write(writer, options.treatment),
        )
    if options.source == "challenge" or not frame.table_files(raw):
        raise DataError(
            f"No intensive-care data in {raw}. Expected stays such as set-a/132539.txt (challenge), or a .csv, .tsv or "
            ".parquet table with a row per observation (tidy)."
        )
    return Blueprint(
        name="icu-tidy",
        raw=frame.table_files(raw),
        code=[tidy, outcome, clock, names, *_SHARED],
        parameters={**options.parameters, **asdict(options.columns)},
        write=lambda writer: tidy.read(raw, options.columns).write(writer, options.treatment),
    )
