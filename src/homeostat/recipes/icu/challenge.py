"""The layout of the PhysioNet/CinC Challenge 2012: a text file per stay in set-* folders, outcomes beside them.

Silva I, Moody G, Scott DJ, Celi LA, Mark RG, Comput Cardiol 2012;39:245-248. Files are joined by the hundred into one
buffer and parsed at once: one by one they would cost eight times as much.
"""

from __future__ import annotations

import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.fingerprint import read_blocks
from homeostat.data.ragged import Array
from homeostat.data.table import Column, read_table
from homeostat.errors import DataError
from homeostat.recipes.icu.stays import Observations, Stays
from homeostat.recipes.icu.variables import MISSING, SERIES, STATIC

RECORD = re.compile(r"\d+\.txt")
OUTCOMES = re.compile(r"Outcomes-(?P<group>\w+)\.txt")
SET = re.compile(r"set-(?P<group>\w+)")
LABEL = "In-hospital_death"
SCORES = {"SAPS-I": "saps_1", "SOFA": "sofa", "Length_of_stay": "stay_days", "Survival": "survival_days"}
CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)")

# A control character that no data file holds, so a buffer of joined files still says where each one begins.
# The line it stands in has four fields, which makes a fourth in any other line visible.
BEGIN = "\x1e"

# Joined and parsed at once. Some megabytes are enough to make the cost per file vanish, and few enough for the
# memory of one part to be used again by the next: fresh pages from the system cost as much as the parsing.
FILES_AT_ONCE = 250

# Codes of the parameter column: the series, then what is known on admission alone, then what is no measurement.
ON_ADMISSION = tuple(name for name in STATIC if name not in SERIES)
RECORD_ID, HEADER, EMPTY, UNKNOWN = range(
    len(SERIES) + len(ON_ADMISSION), len(SERIES) + len(ON_ADMISSION) + 4
)
CODES = {name: code for code, name in enumerate((*SERIES, *ON_ADMISSION, "RecordID", "Parameter", ""))}


@dataclass(frozen=True)
class Layout:
    """The files of a folder; `group[i]` is the set of `records[i]`."""

    records: tuple[Path, ...]
    group: tuple[str, ...]
    outcomes: tuple[Path, ...]

    @property
    def raw(self) -> list[Path]:
        return [*self.records, *self.outcomes]


def find(folder: Path) -> Layout:
    """Stays in set-* folders, or directly in the folder as new patients come; outcomes may be absent."""
    records = []
    for place in (*sorted(folder.glob("set-*")), folder):
        named = SET.fullmatch(place.name) if place != folder else None
        if place.is_dir() and (named or place == folder):
            records += [(Path(name), named["group"] if named else "") for name in record_files(place)]
    outcomes = tuple(path for path in sorted(folder.glob("Outcomes-*.txt")) if OUTCOMES.fullmatch(path.name))
    return Layout(tuple(path for path, _ in records), tuple(group for _, group in records), outcomes)


def record_files(folder: Path) -> list[str]:
    """By scandir: thousands of Path objects would cost more than reading the names."""
    with os.scandir(folder) as entries:
        return sorted(entry.path for entry in entries if RECORD.fullmatch(entry.name))


def read(layout: Layout) -> Stays:
    """Rows that cannot be used are counted by reason; no row stops the reading."""
    if not layout.records:
        raise DataError(
            "There is no stay: expected files such as set-a/132539.txt. Check the path given by --data."
        )
    stay = tuple(path.stem for path in layout.records)
    check_unique(stay)
    counts: Counter[str] = Counter()
    observations, describing = [], []
    for first in range(0, len(stay), FILES_AT_ONCE):
        part = slice(first, first + FILES_AT_ONCE)
        rows = parse(b"".join(pieces(layout.records[part])))
        seen, described, unusable = sort_rows(rows, stay[part])
        observations.append(replace(seen, stay=seen.stay + first))
        describing.append(described)
        counts.update(unusable)
    label, scores, unmatched = read_outcomes(layout.outcomes, stay)
    return Stays(
        stay=stay,
        subject=stay,
        group=layout.group,
        static=np.concatenate(describing),
        static_names=tuple(STATIC),
        label=label,
        variables=tuple(SERIES),
        observations=tuple(observations),
        extra=scores,
        counts={**counts, **unmatched},
        meta={"source": "challenge"},
    )


def check_unique(stay: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in stay:
        if name in seen:
            raise DataError(f"Stay {name} is in two folders. Each stay belongs to one set.")
        seen.add(name)


def pieces(paths: Sequence[Path]) -> Iterator[bytes]:
    """The content of each file behind a line that marks its beginning."""
    for path in paths:
        yield f"{BEGIN},,,\n".encode()
        last = b"\n"
        for block in read_blocks(path):
            yield block
            last = block
        if not last.endswith(b"\n"):
            yield b"\n"


def parse(buffer: bytes) -> pl.DataFrame:
    """Text columns time, parameter, value and, where a line has more than three fields, extra."""
    if b"\r" in buffer:
        buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return _parse(buffer)
    except pl.exceptions.ComputeError:
        # Not UTF-8: the letters that cannot be read make their own row odd, not the file.
        return _parse(buffer.decode("utf-8", errors="replace").encode())


def _parse(buffer: bytes) -> pl.DataFrame:
    return pl.read_csv(
        buffer,
        has_header=False,
        new_columns=["time", "parameter", "value", "extra"],
        infer_schema=False,
        quote_char=None,
        truncate_ragged_lines=True,
    )


def sort_rows(rows: pl.DataFrame, stay_names: Sequence[str]) -> tuple[Observations, Array, dict[str, int]]:
    """Observations, static values (stays, STATIC) and the number of unusable rows by reason."""
    stay = np.cumsum((rows["time"].fill_null("") == BEGIN).to_numpy(), dtype=np.int32) - 1
    seconds = translate(rows["time"], read_clock, otherwise=-1)
    name = translate(rows["parameter"], lambda text: CODES.get(text.strip()), otherwise=UNKNOWN)
    value = rows["value"].cast(pl.Float32, strict=False).fill_null(np.nan).to_numpy()
    empty = (rows["value"].fill_null("") == "").to_numpy()
    # Header lines, marks of a beginning and blank lines are no data and not worth a count.
    usable = ~((name == HEADER) | ((name == EMPTY) & empty & (seconds < 0)))
    reasons = {
        "rows with more than three fields, dropped": rows["extra"].is_not_null().to_numpy(),
        "rows with an empty parameter name, dropped": name == EMPTY,
        "rows with an unknown parameter, dropped": name == UNKNOWN,
        "rows with a time that is not HH:MM, dropped": seconds < 0,
        "rows with a value that is not a number, dropped": ~np.isfinite(value),
        "rows with the record number of another file, dropped": (name == RECORD_ID)
        & (value != np.array([float(text) for text in stay_names], dtype=np.float32)[stay]),
    }
    counts = {}
    for reason, bad in reasons.items():
        counts[reason] = int((usable & bad).sum())
        usable &= ~bad
    seen = Observations(
        stay=stay[usable], seconds=seconds[usable], variable=name[usable], value=value[usable]
    )
    return split_static(seen, len(stay_names), counts)


def split_static(
    seen: Observations, stays: int, counts: dict[str, int]
) -> tuple[Observations, Array, dict[str, int]]:
    """The first value of each descriptor at 00:00 describes the patient; of weight, the others are a series."""
    place = np.full(len(CODES), -1)
    place[[CODES[name] for name in STATIC]] = np.arange(len(STATIC))
    rows = np.flatnonzero((seen.seconds == 0) & (place[seen.variable] >= 0))
    _, first = np.unique(
        seen.stay[rows].astype(np.int64) * len(CODES) + seen.variable[rows], return_index=True
    )
    rows = rows[first]
    static = np.full((stays, len(STATIC)), np.nan)
    static[seen.stay[rows], place[seen.variable[rows]]] = seen.value[rows]
    series = seen.variable < len(SERIES)
    series[rows] = False
    repeated = (seen.variable >= len(SERIES)) & (seen.variable < RECORD_ID)
    repeats = {
        "rows that repeat age, gender, height or unit type, dropped": int(
            repeated.sum() - repeated[rows].sum()
        )
    }
    kept = Observations(
        stay=seen.stay[series],
        seconds=seen.seconds[series],
        variable=seen.variable[series],
        value=seen.value[series],
    )
    return kept, static, counts | repeats


def translate(column: pl.Series, code_of: Callable[[str], int | None], *, otherwise: int) -> Array:
    """The code of each entry. Each distinct entry is read once; a column of millions has few of these."""
    column = column.fill_null("")
    words = column.unique().to_list()
    codes = [code_of(word) for word in words]
    table = np.array([otherwise if code is None else code for code in codes], dtype=np.int32)
    translated: Array = table[column.cast(pl.Enum(words)).to_physical().to_numpy()]
    return translated


@functools.lru_cache(maxsize=1 << 14)
def read_clock(text: str) -> int | None:
    """Seconds since admission of "HH:MM"."""
    clock = CLOCK.fullmatch(text.strip())
    return None if clock is None else int(clock[1]) * 3600 + int(clock[2]) * 60


def read_outcomes(
    paths: Sequence[Path], stay: Sequence[str]
) -> tuple[Array, dict[str, Array], dict[str, int]]:
    """Death in hospital and the scores of the data set per stay; NaN for stays without an outcome."""
    place = {name: number for number, name in enumerate(stay)}
    names = (LABEL, *SCORES)
    held = np.full((len(stay), len(names)), np.nan)
    strangers = 0
    counts: dict[str, int] = {}
    for path in paths:
        columns = [Column(name=name, required=False) for name in names]
        table = read_table(path, [Column(name="RecordID", kind="text"), *columns], suffix=".csv")
        counts |= table.counts
        for record, *values in table.frame.select("RecordID", *names).rows():
            if record in place:
                held[place[record]] = [np.nan if value is None else value for value in values]
            else:
                strangers += 1
    held[held == MISSING] = np.nan
    label = held[:, 0]
    wrong = np.isfinite(label) & (label != 0) & (label != 1)
    if wrong.any():
        raise DataError(
            f"Stay {stay[int(np.argmax(wrong))]} has {LABEL} {label[wrong][0]:g}; expected 0 or 1."
        )
    counts |= {
        "outcomes without a stay, dropped": strangers,
        "stays without an outcome, kept": int(np.isnan(label).sum()) if paths else 0,
    }
    return label, {name: held[:, number + 1] for number, name in enumerate(SCORES.values())}, counts
