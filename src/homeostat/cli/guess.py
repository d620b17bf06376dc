"""Guess the recipe, the layout and the columns of a table, as the flags that `train` would need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from homeostat.data.names import match
from homeostat.data.survey import Column, Kind, named
from homeostat.recipes.icu.units import USUAL
from homeostat.recipes.icu.variables import SERIES, STATIC

# What columns are called in MIMIC-IV, eICU, HiRID, battery cyclers and imaging tables; the likeliest name first.
STAY = (
    "stay", "stay_id", "icustay_id", "patientunitstayid", "hadm_id", "admission_id", "encounter_id",
    "encounter", "visit_id", "recordid", "record_id", "episode", "case", "case_id", "admissionid",
)  # fmt: skip
SUBJECT = (
    "subject", "subject_id", "patient", "patient_id", "person_id", "patientid", "uniquepid", "mrn",
    "pid", "id",
)  # fmt: skip
TIME = (
    "time_h", "time", "hour", "hours", "charttime", "datetime", "timestamp", "observationoffset",
    "offset", "minutes", "minute", "measurement_datetime", "storetime", "date_time", "t",
)  # fmt: skip
VARIABLE = ("variable", "parameter")
VALUE = ("value", "valuenum", "val", "result", "number", "measurement_value", "labresult", "reading")
OUTCOME = (
    "outcome", "death", "died", "dead", "mortality", "hospital_expire_flag", "in-hospital_death",
    "expired", "hospital_death", "target", "label",
)  # fmt: skip
ADMISSION = ("admission", "admittime", "intime", "admission_time", "admitted", "icu_intime")
CELL = ("cell", "cell_id", "battery", "battery_id", "barcode", "cell_name")
HEALTH = ("soh", "state_of_health", "capacity", "capacity_ah", "qd_ah", "discharge_capacity", "q_discharge")
AGE = (
    "time", "time_days", "day", "days", "cycle", "cycles", "cycle_number", "cycle_index", "cycle_idx",
    "time_h", "hours", "age",
)  # fmt: skip
FILE = ("file", "path", "filename", "file_name", "volume", "image", "scan")
LABEL = ("label", "class", "diagnosis", "target", "outcome")
DONOR = ("donor", "group", "patient", "patient_id", "subject", "subject_id", "animal", "mouse")
PART = ("part", "split", "set", "partition")
VOLUMES = (".nii", ".nii.gz", ".npy")
# A table with so many columns that are called as variables has a row for each time.
FEWEST_WIDE = 2


@dataclass(frozen=True, kw_only=True)
class Guess:
    """The recipe that a table seems to be for, and what its columns seem to mean."""

    layout: str
    recipe: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Flag without dashes -> name of the column."""
    missing: Sequence[str] = ()
    """Needs of `train` that the table does not seem to meet."""


def guess(frame: pl.DataFrame, columns: Sequence[Column]) -> Guess:
    """The first recipe that fits: volumes, then stays, then batteries."""
    for one in (_volumes, _long, _wide, _battery):
        guessed = one(frame, columns)
        if guessed is not None:
            return guessed
    return Guess(layout="a table that no recipe knows by its columns")


def known_variables(values: Sequence[str]) -> list[str]:
    """Which of some names are variables of intensive care, under any spelling."""
    known = {*SERIES, *STATIC}
    return [name for name, target in match(values, known).items() if target in known]


def _volumes(frame: pl.DataFrame, columns: Sequence[Column]) -> Guess | None:
    texts = [column for column in columns if column.kind == "text"]
    files = [column.name for column in texts if any(e.lower().endswith(VOLUMES) for e in column.examples)]
    if not files:
        return None
    file = named([c for c in texts if c.name in files], FILE) or files[0]
    label = named(columns, LABEL)
    roles = {
        "file": file,
        "label": label,
        "group": named(columns, DONOR),
        "part": named(columns, PART, "text"),
    }
    return Guess(
        layout="a row per volume",
        recipe="cell",
        roles={flag: name for flag, name in roles.items() if name or flag == "group"},
        missing=[] if label else ["label (--label)"],
    )


def _known(column: pl.Series) -> int:
    return len(known_variables(column.drop_nulls().cast(pl.String).unique().to_list()))


def _long(frame: pl.DataFrame, columns: Sequence[Column]) -> Guess | None:
    texts = [column for column in columns if column.kind == "text" and column.distinct <= MOST_VARIABLES]
    names = {c.name: _known(frame[c.name]) for c in texts}
    best = max(names, key=lambda name: names[name], default="")
    variable = best if best and names[best] else named(texts, VARIABLE)
    if not variable:
        return None
    stay, subject = named(columns, STAY), named(columns, SUBJECT)
    time = named(columns, TIME) or next((c.name for c in columns if c.kind in ("date-time", "time span")), "")
    taken = {variable, stay, subject, time, named(columns, OUTCOME)}
    others = [c.name for c in columns if c.kind == "number" and c.name not in taken]
    value = named(columns, VALUE) or (others[0] if len(others) == 1 else "")
    if not value or not (stay or subject):
        return None
    return _stays("a row per observation", columns, {"variable": variable, "value": value})


MOST_VARIABLES = 2000


def _wide(frame: pl.DataFrame, columns: Sequence[Column]) -> Guess | None:
    numbers = [c.name for c in columns if c.kind == "number"]
    series = [name for name in known_variables(numbers) if match([name], USUAL)[name] in SERIES]
    if len(series) < FEWEST_WIDE or not (named(columns, STAY) or named(columns, SUBJECT)):
        return None
    return _stays("a row per time, a column per variable", columns, {})


def _stays(layout: str, columns: Sequence[Column], roles: Mapping[str, str]) -> Guess:
    free = [column for column in columns if column.name not in roles.values()]
    stay, subject = named(free, STAY), named(free, SUBJECT)
    moment: tuple[Kind, ...] = ("date-time",)
    time = named(free, TIME) or next((c.name for c in free if c.kind in ("date-time", "time span")), "")
    outcome = named([c for c in free if c.distinct <= 12], OUTCOME)
    found = {
        "stay": stay or subject,
        "subject": subject if stay else "",
        "time": time,
        **roles,
        "outcome": outcome,
        "admission": named(free, ADMISSION, *moment),
    }
    missing = [] if time else ["time (--time)"]
    missing += [] if outcome else ["outcome (--outcome): without it nothing can be learnt"]
    return Guess(
        layout=layout,
        recipe="icu",
        roles={flag: name for flag, name in found.items() if name},
        missing=missing,
    )


def _battery(frame: pl.DataFrame, columns: Sequence[Column]) -> Guess | None:
    cell, target = named(columns, CELL), named(columns, HEALTH, "number")
    time = named(columns, AGE, "number")
    if not cell or not target:
        return None
    return Guess(
        layout="a row per cell and time",
        recipe="battery",
        roles={flag: name for flag, name in (("cell", cell), ("time", time), ("target", target)) if name},
        missing=[] if time else ["time (--time)"],
    )


def time_unit(name: str) -> str:
    """The unit that the name of a battery's time column says."""
    return "cycles" if "cycle" in name.casefold() else "hours" if "hour" in name.casefold() else "days"


def long_form(frame: pl.DataFrame, columns: Sequence[Column], roles: Mapping[str, str]) -> pl.DataFrame:
    """A row per observation, from a table with a column per variable."""
    index = [name for name in dict.fromkeys(roles.values()) if name in frame.columns]
    numbers = [c.name for c in columns if c.kind == "number" and c.name not in index]
    long = frame.unpivot(numbers, index=index, variable_name="variable", value_name="value")
    return long.filter(long["value"].is_not_null() & (long["value"].cast(pl.String).str.strip_chars() != ""))
