"""A folder of LG M50T performance summaries: one file per cell, units from the brackets of the column names.

Layout: `.../Expt 5 - cell A (10degC) - Processed Data.csv`, one row per reference performance test. Each file
holds its own cell's inputs and targets, so a cell cannot be given another one's state of health.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from homeostat.data.frame import load
from homeostat.data.ragged import Ragged, offsets_of
from homeostat.data.table import Column, Table, matrix, read_table
from homeostat.errors import DataError
from homeostat.recipes.battery.cohort import Cohort, check_times

FILE = re.compile(r"Expt (?P<expt>\d+) - cell (?P<cell>\w+) \((?P<celsius>-?\d+)degC\) - Processed Data\.csv")
HEADER = re.compile(r"(?P<quantity>[^\[]+?)\s*(?:\[(?P<unit>[^\]]+)\])?")

AMPERE_HOURS = {"A h": 1.0, "Ah": 1.0, "mA h": 1e-3, "mAh": 1e-3}
OHMS = {"Ohms": 1.0, "Ohm": 1.0, "mOhms": 1e-3, "mOhm": 1e-3}
PLAIN: dict[str | None, float] = {None: 1.0, "days": 1.0, "cycles": 1.0}


@dataclass(frozen=True)
class Quantity:
    """The headers that name it, the factor of each unit it may come in, and whether a cell must have it."""

    headers: tuple[str, ...]
    units: Mapping[str | None, float] | Mapping[str, float]
    required: bool = False


QUANTITIES = {
    "capacity_ah": Quantity(("Cell Capacity", "C/10 Capacity"), AMPERE_HOURS, required=True),
    "charge_throughput_ah": Quantity(("Cumulative Charge Throughput", "Charge Throughput"), AMPERE_HOURS),
    "discharge_throughput_ah": Quantity(
        ("Cumulative Discharge Throughput", "Discharge Throughput"), AMPERE_HOURS
    ),
    "resistance_100ms_ohm": Quantity(("0.1s Resistance",), OHMS),
    "resistance_10s_ohm": Quantity(("10s Resistance",), OHMS),
    "time_days": Quantity(("Days of degradation",), PLAIN),
    "cycles": Quantity(("Ageing Cycles",), PLAIN),
}
INPUTS = (
    "charge_throughput_ah",
    "discharge_throughput_ah",
    "resistance_100ms_ohm",
    "resistance_10s_ohm",
    "cycles",
)
MODES = ("LAM", "LLI")
ZERO_CELSIUS_K = 273.15


def raw_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.csv") if FILE.fullmatch(path.name))


def read(folder: Path) -> Cohort:
    """State of health is capacity by the cell's first capacity; degradation modes are targets, never inputs."""
    frames: list[pl.DataFrame] = []
    counts: dict[str, int] = {}
    for path in raw_files(folder):
        table = read_cell(path)
        counts |= table.counts
        frames.append(table.frame)
    frame = pl.concat(frames, how="diagonal")
    times = "time_days" if "time_days" in frame.columns else "test"
    inputs = [name for name in INPUTS if name in frame.columns] + ["temperature_k"]
    modes = [name for name in frame.columns if name.startswith(MODES)]
    cells = frame.group_by("cell", maintain_order=True).agg(pl.len(), pl.col("celsius").first())
    if cells["cell"].to_list() != frame["cell"].rle().struct.field("value").to_list():
        raise DataError(f"Two files in {folder} hold the same cell. Remove one of them.")
    unit = "days" if times == "time_days" else "reference tests"
    steps = cells["len"].to_numpy()
    check_times(cells["cell"], Ragged(frame[times].to_numpy(), offsets_of(steps)), unit)
    return Cohort(
        source="lgm50t",
        cells=tuple(cells["cell"]),
        steps=steps,
        time=frame[times].to_numpy(),
        time_unit=unit,
        target=frame["soh"].to_numpy(),
        target_name="soh",
        inputs=matrix(frame, inputs),
        input_names=tuple(inputs),
        arrays={"capacity_ah": frame["capacity_ah"].to_numpy(), "ambient_c": cells["celsius"].to_numpy()}
        | ({"modes": matrix(frame, modes)} if modes else {}),
        counts=counts,
        meta={"mode_names": modes},
    )


def read_cell(path: Path) -> Table:
    """One file in SI-friendly units under our names, with the cell and temperature that its name declares."""
    named = FILE.fullmatch(path.name)
    if named is None:
        raise DataError(f"{path.name} is not named like 'Expt 5 - cell A (10degC) - Processed Data.csv'.")
    held = load(path).columns
    chosen = {
        name: column
        for name, quantity in QUANTITIES.items()
        if (column := find(held, quantity, path)) is not None
    }
    modes = [header for header in held if header.startswith(MODES)]
    headers = [header for header, _ in chosen.values()]
    table = read_table(path, columns_of(chosen, modes))
    counts = dict(table.counts)
    # An index that was exported with the rest has no name.
    strange = [header for header in held if header.strip() and header not in headers + modes]
    if strange:
        counts[
            f"columns of {path.name} that are not known, left out: {', '.join(map(repr, strange[:5]))}"
        ] = len(strange)
    columns = {name: table.frame[header] * factor for name, (header, factor) in chosen.items()}
    first = columns["capacity_ah"]
    if first[0] <= 0:
        raise DataError(
            f"{path.name} has a first capacity of {first[0]:g} Ah; expected a positive one. Export it again."
        )
    celsius = float(named["celsius"])
    frame = pl.DataFrame(
        {"test": table.frame["row"].cast(pl.Float64) - 1}
        | columns
        | {header: table.frame[header] for header in modes}
    ).with_columns(
        cell=pl.lit(f"{named['expt']}-{named['cell']}"),
        celsius=pl.lit(celsius),
        temperature_k=pl.lit(celsius + ZERO_CELSIUS_K),
        soh=pl.col("capacity_ah") / first[0],
    )
    return Table(frame=frame, counts=counts)


def columns_of(chosen: Mapping[str, tuple[str, float]], modes: Sequence[str]) -> list[Column]:
    """A row without a capacity or a time cannot be used; all else may be missing."""
    needed = [chosen[name][0] for name in ("capacity_ah", "time_days") if name in chosen]
    others = [header for header, _ in chosen.values() if header not in needed]
    return [Column(name=header, required=header in needed) for header in (*needed, *others, *modes)]


def find(held: Sequence[str], quantity: Quantity, path: Path) -> tuple[str, float] | None:
    """The column that names the quantity, and the factor of the unit that it declares; nothing is guessed."""
    for header in held:
        parts = HEADER.fullmatch(header.strip())
        if parts is None or parts["quantity"] not in quantity.headers:
            continue
        factors = dict(quantity.units.items())
        if parts["unit"] not in factors:
            known = ", ".join(f"[{unit}]" for unit in factors if unit)
            declared = f"the unit [{parts['unit']}]" if parts["unit"] else "no unit"
            raise DataError(f"{path.name}: column {header!r} declares {declared}; expected one of {known}.")
        return header, factors[parts["unit"]]
    if quantity.required:
        raise DataError(
            f"{path.name} has none of the columns {', '.join(quantity.headers)}. It has: {list(held)}."
        )
    return None
