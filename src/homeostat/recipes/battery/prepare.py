"""From a folder of raw battery data to a store: which format is it, and what of it may a model see?"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from homeostat.data import ragged, table
from homeostat.data.blueprint import Blueprint
from homeostat.data.fingerprint import Code
from homeostat.data.store import Explanation, Store, Writer
from homeostat.errors import DataError
from homeostat.recipes.battery import cohort as cohorts
from homeostat.recipes.battery import disguise
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


def prepare(
    raw: Path, stores: Path, options: Preparation | None = None, *, needs_target: bool = True
) -> Store:
    """The sealed store of the raw data; found again when nothing changed."""
    return make_plan(raw, options or Preparation(), needs_target=needs_target).build(stores)


def explain(raw: Path, stores: Path, options: Preparation | None = None) -> Explanation:
    """Whether `prepare` would reuse a store, and why; prepares nothing."""
    return make_plan(raw, options or Preparation()).explain(stores)


def make_plan(raw: Path, options: Preparation, *, needs_target: bool = True) -> Blueprint:
    """The format asked for, or the one whose files are there."""
    source = detect(raw) if options.source == "auto" else options.source
    shared: list[Code] = [cohorts, disguise, uncover, table, ragged]
    keep = {"keep_disguised": options.keep_disguised}

    def write(cohort: Cohort, writer: Writer) -> None:
        uncover(cohort, keep=options.keep_disguised).write(writer)

    match source:
        case "nasa":
            told = {
                "rated_ah": options.rated_ah or 2.0,
                "early_s": options.early_s,
                "grid_s": options.grid_s,
            }
            return Blueprint(
                name=f"battery-{source}",
                raw=required(nasa.raw_files(raw), raw, nasa.SUMMARY),
                code=[nasa, nasa_charge, *shared],
                parameters=told | keep,
                write=lambda writer: write(nasa.read(raw, **told), writer),
            )
        case "severson":
            rated_ah = options.rated_ah or 1.1
            return Blueprint(
                name=f"battery-{source}",
                raw=required(
                    severson.raw_files(raw), raw, severson.CELLS, severson.CAPACITY, severson.CURVES
                ),
                code=[severson, *shared],
                parameters={"rated_ah": rated_ah} | keep,
                write=lambda writer: write(severson.read(raw, rated_ah=rated_ah), writer),
            )
        case "lgm50t":
            files = lgm50t.raw_files(raw)
            return Blueprint(
                name=f"battery-{source}",
                raw=files or required([], raw, "'Expt 5 - cell A (10degC) - Processed Data.csv'"),
                code=[lgm50t, *shared],
                parameters=keep,
                write=lambda writer: write(lgm50t.read(raw), writer),
            )
        case _:
            return Blueprint(
                name="battery-tidy",
                raw=tidy.raw_files(raw),
                code=[tidy, *shared],
                parameters=asdict(options.columns) | keep | ({} if needs_target else {"needs_target": False}),
                write=lambda writer: write(
                    tidy.read(raw, options.columns, needs_target=needs_target), writer
                ),
            )


def detect(raw: Path) -> Source:
    """By the names of the files alone; the content is checked by the reader."""
    if (raw / nasa.SUMMARY).is_file():
        return "nasa"
    if (raw / severson.CELLS).is_file() and (raw / severson.CURVES).is_file():
        return "severson"
    if raw.is_dir() and lgm50t.raw_files(raw):
        return "lgm50t"
    if tidy.raw_files(raw):
        return "tidy"
    raise DataError(
        f"No battery data in {raw}. Expected {nasa.SUMMARY} (nasa); {severson.CELLS} and {severson.CURVES} (severson); "
        "'Expt N - cell X (TdegC) - Processed Data.csv' (lgm50t); or one .csv, .tsv or .parquet file (tidy)."
    )


def required(files: list[Path], folder: Path, *names: str) -> list[Path]:
    """The files, once those that the format cannot do without are among them."""
    for name in names:
        if name not in {file.name for file in files}:
            raise DataError(f"{folder} lacks {name}. Check the path given by --data.")
    return files


def uncover(cohort: Cohort, *, keep: bool) -> Cohort:
    """Without the inputs that are the target in disguise; each is reported."""
    flagged = disguise.flags(cohort)
    if not flagged:
        return cohort
    told = {f"input flagged. {flag}": 1 for flag in flagged}
    if keep:
        return replace(cohort, counts={**cohort.counts, **told})
    names = {flag.name for flag in flagged}
    stay = np.array([name not in names for name in cohort.input_names])
    return replace(
        cohort,
        inputs=cohort.inputs[:, stay],
        input_names=tuple(name for name in cohort.input_names if name not in names),
        counts={**cohort.counts, **{f"input left out. {flag}": 1 for flag in flagged}},
    )
