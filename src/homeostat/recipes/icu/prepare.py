"""From raw intensive-care data to a store: which layout is it, and what of it is kept?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from homeostat.data import ragged, table
from homeostat.data.fingerprint import Origin
from homeostat.data.store import Explanation, Store, Writer, build
from homeostat.data.store import explain as explain_store
from homeostat.errors import DataError
from homeostat.recipes.icu import challenge, stays, tidy, variables
from homeostat.recipes.icu.stays import Impossible, Stays
from homeostat.recipes.icu.variables import SERIES

Source = Literal["auto", "challenge", "tidy"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How raw intensive-care data become a store."""

    source: Source = "auto"
    """Layout of the raw data; auto looks at the names of the files."""
    impossible: Impossible = "clip"
    """What happens to values that no body can show: clip them to the range, or drop them. Counted either way."""
    columns: tidy.Columns = field(default_factory=tidy.Columns)
    """Column names of a tidy table."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a layout needs: its raw files, the code that reads them and the parameters that matter to it."""

    source: str
    raw: list[Path]
    code: list[ModuleType]
    parameters: dict[str, Any]
    read: Callable[[], Stays]


def prepare(raw: Path, folder: Path, options: Preparation | None = None) -> Store:
    """The sealed store of the raw data in the folder of stores; found again when nothing changed."""
    chosen = options or Preparation()
    plan = make_plan(raw, chosen)

    def write(writer: Writer) -> None:
        plan.read().write(writer, SERIES, chosen.impossible)

    name = f"icu-{plan.source}"
    return build(folder, name=name, raw=plan.raw, code=plan.code, parameters=plan.parameters, write=write)


def explain(raw: Path, folder: Path, options: Preparation | None = None) -> Explanation:
    """Whether `prepare` would reuse a store, and why; prepares nothing."""
    plan = make_plan(raw, options or Preparation())
    origin = Origin.of(f"icu-{plan.source}", raw=plan.raw, code=plan.code, parameters=plan.parameters)
    return explain_store(folder, origin)


def make_plan(raw: Path, options: Preparation) -> Plan:
    """The layout asked for, or the one whose files are there."""
    if not raw.exists():
        raise DataError(f"There is nothing at {raw}. Check the path given by --data.")
    layout = challenge.find(raw) if raw.is_dir() and options.source != "tidy" else None
    if layout and (layout.records or options.source == "challenge"):
        return Plan(
            source="challenge",
            raw=layout.raw,
            code=[challenge, stays, variables, table, ragged],
            parameters={"impossible": options.impossible},
            read=lambda: challenge.read(layout),
        )
    if options.source == "challenge" or not tidy.raw_files(raw):
        raise DataError(
            f"No intensive-care data in {raw}. Expected stays such as set-a/132539.txt (challenge), or a .csv, .tsv or "
            ".parquet table with a row per observation (tidy)."
        )
    return Plan(
        source="tidy",
        raw=tidy.raw_files(raw),
        code=[tidy, stays, variables, table, ragged],
        parameters={"impossible": options.impossible, **asdict(options.columns)},
        read=lambda: tidy.read(raw, options.columns),
    )
