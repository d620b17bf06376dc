"""From raw volumes to a store: the format is recognised, and each volume is cut to what is kept of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from homeostat.config import Count, check_bounds
from homeostat.data import arrays, frame, nifti, ragged, resampling, table, volume
from homeostat.data import medmnist as npz
from homeostat.data.blueprint import Blueprint
from homeostat.data.fingerprint import Code
from homeostat.errors import DataError
from homeostat.evaluate import bootstrap, confounder, delong
from homeostat.recipes.cell import flim, medmnist, recorded, tidy, volumes

Source = Literal["auto", "flim", "medmnist", "tidy"]


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How raw volumes become a store."""

    source: Source = "auto"
    """Format of the raw data; auto looks at the names of the files."""
    side: Count = 21
    """Pixels along height and width of a cell (flim)."""
    time_bins: Count = 64
    """Neighbouring time bins are summed to this many (flim); the sum loses no photon."""
    columns: tidy.Columns = field(default_factory=tidy.Columns)
    """Columns of a tidy table."""

    def __post_init__(self) -> None:
        check_bounds(self)


def blueprint(raw: Path, options: Preparation = Preparation()) -> Blueprint:  # frozen
    """Describe the store of the format that is asked for, or of the one whose files are there."""
    source = detect(raw) if options.source == "auto" else options.source
    # How volumes were recorded is compared with their labels by the statistics.
    compared: list[Code] = [recorded, confounder, bootstrap, delong]
    shared = [volumes, volume, nifti, resampling, arrays, ragged, *compared]
    match source:
        case "flim":
            parameters: dict[str, Any] = {"side": options.side, "time_bins": options.time_bins}
            files = flim.raw_files(raw)
            return Blueprint(
                name=f"cell-{source}",
                raw=files,
                code=[flim, frame, table, *shared],
                parameters=parameters,
                write=lambda writer: flim.read(raw, **parameters).write(writer),
            )
        case "medmnist":
            return Blueprint(
                name=f"cell-{source}",
                raw=npz.raw_files(raw),
                code=[medmnist, npz, *shared],
                parameters={},
                write=lambda writer: medmnist.read(raw).write(writer),
            )
        case _:
            return Blueprint(
                name="cell-tidy",
                raw=tidy.raw_files(raw),
                code=[tidy, frame, table, *shared],
                parameters=asdict(options.columns),
                write=lambda writer: tidy.read(raw, options.columns).write(writer),
            )


def detect(raw: Path) -> Source:
    """By the names of the files alone; the content is checked by the reader."""
    if not raw.exists():
        raise DataError(f"There is nothing at {raw}. Check the path given by --data.")
    if npz.raw_files(raw):
        return "medmnist"
    if tidy.raw_files(raw) and not (raw / flim.TRUTH).exists():
        return "tidy"
    if flim.raw_files(raw):
        return "flim"
    raise DataError(
        f"No volumes in {raw}. Expected an .npz (medmnist); folders of donors with one .npy per cell, `_in` or `_act` "
        "in its name (flim); or a .csv, .tsv or .parquet table beside .nii, .nii.gz or .npy files (tidy)."
    )
