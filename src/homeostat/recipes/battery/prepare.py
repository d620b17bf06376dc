"""From raw battery data to a store: the format is recognised, and inputs that hold the target are left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from homeostat.data import arrays, disguise, drift, frame, ragged, table
from homeostat.data.blueprint import Blueprint
from homeostat.data.fingerprint import Code
from homeostat.errors import DataError
from homeostat.recipes.battery import cohort as cohorts
from homeostat.recipes.battery.cohort import Cohort
from homeostat.recipes.battery.readers import lgm50t, nasa, nasa_charge, severson, tidy

Source = Literal["auto", "nasa", "severson", "lgm50t", "tidy"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How raw battery data become a store."""

    source: Source = "auto"
    """Format of the raw data; auto looks at the names of the files."""
    rated_ah: float | None = None
    """Rated capacity that health is measured against. None: 2.0 for nasa, 1.1 for severson."""
    early_s: float = 1000.0
    """How many seconds of a discharge count as known before it is complete (nasa)."""
    grid_s: float = 25.0
    """Spacing of the early part of the discharge curve (nasa)."""
    keep_disguised: bool = False
    """Keep inputs that give the target away, to show what they do to a score."""
    columns: tidy.Columns = field(default_factory=tidy.Columns)
    """Column names of a tidy file."""


def blueprint(raw: Path, options: Preparation, *, needs_target: bool = True) -> Blueprint:
    """The format asked for, or the one whose files are there."""
    source = detect(raw) if options.source == "auto" else options.source
    code: list[Code]
    read: Callable[[], Cohort]
    parameters: dict[str, Any] = {}
    match source:
        case "nasa":
            parameters = {name: getattr(options, name) for name in ("early_s", "grid_s")}
            parameters["rated_ah"] = options.rated_ah or 2.0
            files, code = required(nasa.raw_files(raw), raw, nasa.SUMMARY), [nasa, nasa_charge]
            read = partial(nasa.read, raw, **parameters)
        case "severson":
            parameters["rated_ah"] = options.rated_ah or 1.1
            names = (severson.CELLS, severson.CAPACITY, severson.CURVES)
            files, code = required(severson.raw_files(raw), raw, *names), [severson, arrays]
            read = partial(severson.read, raw, **parameters)
        case "lgm50t":
            files, code = lgm50t.raw_files(raw), [lgm50t]
            files = files or required([], raw, "'Expt 5 - cell A (10degC) - Processed Data.csv'")
            read = partial(lgm50t.read, raw)
        case _:
            files, code = frame.table_files(raw), [tidy]
            parameters = asdict(options.columns) | ({} if needs_target else {"needs_target": False})
            read = partial(tidy.read, raw, options.columns, needs_target=needs_target)
    return Blueprint(
        name=f"battery-{source}",
        raw=files,
        code=[*code, cohorts, disguise, drift, uncover, frame, table, ragged],
        parameters=parameters | {"keep_disguised": options.keep_disguised},
        write=lambda writer: uncover(read(), keep=options.keep_disguised).write(writer),
    )


def detect(raw: Path) -> Source:
    """The format by the names of the files alone; the content is checked by the reader."""
    if (raw / nasa.SUMMARY).is_file():
        return "nasa"
    if (raw / severson.CELLS).is_file() and (raw / severson.CURVES).is_file():
        return "severson"
    if raw.is_dir() and lgm50t.raw_files(raw):
        return "lgm50t"
    if frame.table_files(raw):
        return "tidy"
    raise DataError(
        f"No battery data in {raw}. Expected {nasa.SUMMARY} (nasa); {severson.CELLS} and {severson.CURVES} (severson); "
        "'Expt N - cell X (TdegC) - Processed Data.csv' (lgm50t); or one .csv, .tsv or .parquet file (tidy)."
    )


def required(files: list[Path], folder: Path, *names: str) -> list[Path]:
    """Return the files, or name the one that is missing and that the format cannot do without."""
    for name in names:
        if name not in {file.name for file in files}:
            raise DataError(f"{folder} lacks {name}. Check the path given by --data.")
    return files


def uncover(cohort: Cohort, *, keep: bool) -> Cohort:
    """Leave out the inputs that are the target in disguise, and count each."""
    flagged = disguise.flags(
        dict(zip(cohort.input_names, cohort.inputs.T, strict=True)),
        cohort.target,
        cohort.time,
        cohort.steps,
        target_name=cohort.target_name,
        unit="cells",
    )
    if not flagged:
        return cohort
    verb = "flagged" if keep else "left out"
    counts = {**cohort.counts, **{f"input {verb}. {flag}": 1 for flag in flagged}}
    if keep:
        return replace(cohort, counts=counts)
    names = {flag.name for flag in flagged}
    stay = np.array([name not in names for name in cohort.input_names])
    return replace(
        cohort,
        inputs=cohort.inputs[:, stay],
        input_names=tuple(name for name in cohort.input_names if name not in names),
        counts=counts,
    )
