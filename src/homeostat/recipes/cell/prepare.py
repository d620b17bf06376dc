"""From raw volumes to a store: which format is it, and how much of each volume is kept?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from homeostat.data import ragged, table
from homeostat.data.fingerprint import Code, Origin
from homeostat.data.store import Explanation, Store, Writer, build
from homeostat.data.store import explain as explain_store
from homeostat.errors import ConfigError, DataError
from homeostat.recipes.cell import flim, medmnist, tidy, volumes
from homeostat.recipes.cell.volumes import Volumes

Source = Literal["auto", "flim", "medmnist", "tidy"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How raw volumes become a store."""

    source: Source = "auto"
    """Format of the raw data; auto looks at the names of the files."""
    side: int = 21
    """Pixels along height and width of a cell (flim)."""
    time_bins: int = 64
    """Neighbouring time bins are summed to this many (flim); the sum loses no photon."""
    columns: tidy.Columns = field(default_factory=tidy.Columns)
    """Columns of a tidy table."""

    def __post_init__(self) -> None:
        for name in ("side", "time_bins"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)} must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a format needs: its raw files, the code that reads them and the parameters that matter to it."""

    source: str
    raw: list[Path]
    code: list[Code]
    parameters: dict[str, Any]
    read: Callable[[], Volumes]


def prepare(raw: Path, stores: Path, options: Preparation | None = None) -> Store:
    """The sealed store of the raw data; found again when nothing changed."""
    plan = make_plan(raw, options or Preparation())

    def write(writer: Writer) -> None:
        plan.read().write(writer)

    return build(
        stores,
        name=f"cell-{plan.source}",
        raw=plan.raw,
        code=plan.code,
        parameters=plan.parameters,
        write=write,
    )


def explain(raw: Path, stores: Path, options: Preparation | None = None) -> Explanation:
    """Whether `prepare` would reuse a store, and why; prepares nothing."""
    plan = make_plan(raw, options or Preparation())
    origin = Origin.of(f"cell-{plan.source}", raw=plan.raw, code=plan.code, parameters=plan.parameters)
    return explain_store(stores, origin)


def make_plan(raw: Path, options: Preparation) -> Plan:
    """The format asked for, or the one whose files are there."""
    source = detect(raw) if options.source == "auto" else options.source
    shared: list[Code] = [volumes, ragged]
    match source:
        case "flim":
            told: dict[str, Any] = {"side": options.side, "time_bins": options.time_bins}
            files = flim.raw_files(raw)
            return Plan(
                source=source,
                raw=files,
                code=[flim, *shared],
                parameters=told,
                read=lambda: flim.read(raw, **told),
            )
        case "medmnist":
            return Plan(
                source=source,
                raw=medmnist.raw_files(raw),
                code=[medmnist, *shared],
                parameters={},
                read=lambda: medmnist.read(raw),
            )
        case _:
            return Plan(
                source="tidy",
                raw=tidy.raw_files(raw),
                code=[tidy, table, *shared],
                parameters=asdict(options.columns),
                read=lambda: tidy.read(raw, options.columns),
            )


def detect(raw: Path) -> Source:
    """By the names of the files alone; the content is checked by the reader."""
    if not raw.exists():
        raise DataError(f"There is nothing at {raw}. Check the path given by --data.")
    if medmnist.raw_files(raw):
        return "medmnist"
    if tidy.raw_files(raw) and not (raw / TRUTH).exists():
        return "tidy"
    if flim.raw_files(raw):
        return "flim"
    raise DataError(
        f"No volumes in {raw}. Expected an .npz (medmnist); folders of donors with one .npy per cell, `_in` or `_act` "
        "in its name (flim); or a .csv, .tsv or .parquet table beside .nii, .nii.gz or .npy files (tidy)."
    )


TRUTH = "truth.csv"
"""What the simulator knows about its cells; no table of volumes."""
