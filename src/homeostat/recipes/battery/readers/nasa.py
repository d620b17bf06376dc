"""The NASA battery tables: state of health per discharge, and what was known before the discharge was complete.

B. Saha and K. Goebel (2007), "Battery Data Set", NASA Prognostics Data Repository.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.ragged import Array
from homeostat.data.table import Column, matrix, read_table
from homeostat.recipes.battery.cohort import Cohort
from homeostat.recipes.battery.readers import nasa_charge

SUMMARY = "cycle_summary.parquet"
CURVES = "discharge_curves.parquet"

# Of the summary table only these are known when a discharge begins. Its duration, sample count, voltages
# and temperatures are measured over the complete discharge and so are the capacity in disguise.
KNOWN_BEFORE = {
    "cycle": "cycle",
    "ambient_c": "ambient_c",
    "re_ohm_nearest": "re_ohm",
    "rct_ohm_nearest": "rct_ohm",
}
CURVE_CHANNELS = ("voltage_v", "temperature_c", "current_a")
READINGS_S = (50, 200, 500, 1000)

# Why a step has no target, as stored in `status`; 0 is sound.
STATUS = (
    "sound",
    "no capacity recorded",
    "capacity under a quarter of the rated one: the run crashed or the cell could not carry the load",
    "capacity more than a tenth above the rated one: impossible in one discharge",
    "first discharge far below the second: the cell was not fully charged",
    "discharge complete within the early part of its curve: nothing is left to predict",
)
LOWEST, HIGHEST = 0.25, 1.1
# A sound second discharge lies within 10 % of the first; the broken first ones lie 20 to 90 % below it.
FIRST_TO_SECOND = 0.85
# Discharges are at 1 A or more; the rest before the load is measured as a few milliampere.
LOAD_A = -0.5


def raw_files(folder: Path) -> list[Path]:
    names = (SUMMARY, CURVES, nasa_charge.FILE)
    # A folder or a broken link of that name is no missing file: the border refuses it.
    return [folder / name for name in names if os.path.lexists(folder / name)]


def read(folder: Path, *, rated_ah: float, early_s: float, grid_s: float) -> Cohort:
    """Every discharge is kept as a step; the ones without a sound capacity have no target and a status."""
    table = read_table(
        folder / SUMMARY,
        [
            Column(name="battery_id", kind="text"),
            Column(name="days"),
            Column(name="capacity_ah", required=False),
            *(Column(name=name, required=name in ("cycle", "ambient_c")) for name in KNOWN_BEFORE),
        ],
    )
    frame = table.frame.sort("battery_id", "cycle")
    steps = frame.group_by("battery_id", maintain_order=True).len()
    curve, odd = early_curves(folder / CURVES, frame, early_s=early_s, grid_s=grid_s)
    health = frame["capacity_ah"].fill_null(np.nan).to_numpy() / rated_ah
    status = judge(health, frame["battery_id"].to_numpy(), curve)
    readings, reading_names = early_readings(curve, grid_s)
    charge, strange = nasa_charge.durations(folder / nasa_charge.FILE, frame)
    return Cohort(
        source="nasa",
        cells=tuple(steps["battery_id"]),
        steps=steps["len"].to_numpy(),
        time=frame["days"].to_numpy(),
        time_unit="days",
        target=np.where(status == 0, health, np.nan),
        target_name="soh",
        inputs=np.concatenate([matrix(frame, list(KNOWN_BEFORE)), readings, charge[:, None]], axis=1),
        input_names=(*KNOWN_BEFORE.values(), *reading_names, "charge_cc_s"),
        arrays={
            "curve": curve,
            "status": status,
            "capacity_ah": frame["capacity_ah"].fill_null(np.nan).to_numpy(),
        },
        counts=table.counts | absent_files(folder) | odd | strange | count_status(status),
        meta={
            "rated_ah": rated_ah,
            "curve_channels": list(CURVE_CHANNELS),
            "curve_time_s": np.arange(0, early_s + grid_s / 2, grid_s).tolist(),
            "status": list(STATUS),
        },
    )


def absent_files(folder: Path) -> dict[str, int]:
    """Files that the data can do without, and what is then missing."""
    inputs = {
        CURVES: "the early readings of each discharge",
        nasa_charge.FILE: "the time at constant current",
    }
    return {
        f"file that is not there, {name}: {missing} not known": 1
        for name, missing in inputs.items()
        if not os.path.lexists(folder / name)
    }


def judge(health: Array, cell: Array, curve: Array) -> Array:
    """Status of each discharge. Later rules speak of discharges that earlier ones found sound."""
    status = np.zeros(len(health), dtype=np.int8)
    status[np.isnan(health)] = 1
    status[health < LOWEST] = 2
    status[health > HIGHEST] = 3
    first = np.flatnonzero(np.r_[True, cell[1:] != cell[:-1]])
    first = first[(first + 1 < len(cell)) & (cell[np.minimum(first + 1, len(cell) - 1)] == cell[first])]
    low = health[first] < FIRST_TO_SECOND * health[first + 1]
    status[first[low & (status[first] == 0)]] = 4
    measured = np.isfinite(curve[:, 0, 0])
    ended = measured & np.isnan(curve[:, -1, 0])
    status[ended & (status == 0)] = 5
    return status


def count_status(status: Array) -> dict[str, int]:
    counts = {}
    for code, reason in enumerate(STATUS[1:], start=1):
        number = int((status == code).sum())
        if number:
            counts[f"discharges kept without a target: {reason}"] = number
    return counts


def early_curves(
    path: Path, frame: pl.DataFrame, *, early_s: float, grid_s: float
) -> tuple[Array, dict[str, int]]:
    """(N, time, channel) on a grid of seconds from the moment that the load is applied, NaN after it is removed; and
    the counts of rows that cannot be used."""
    grid = np.arange(0, early_s + grid_s / 2, grid_s)
    out = np.full((len(frame), len(grid), len(CURVE_CHANNELS)), np.nan, dtype=np.float32)
    if not os.path.lexists(path):
        return out, {}
    place = {
        (cell, cycle): row for row, (cell, cycle) in enumerate(frame.select("battery_id", "cycle").rows())
    }
    names = ("Time", "Voltage_measured", "Temperature_measured", "Current_measured")
    declared = [
        Column(name="battery_id", kind="text"),
        *(Column(name=name) for name in ("cycle_idx", *names)),
    ]
    table = read_table(path, declared)
    curves = table.frame.sort("battery_id", "cycle_idx", "Time")
    counts = dict(table.counts)
    values = matrix(curves, names)
    starts = np.flatnonzero(
        curves.select(pl.struct("battery_id", "cycle_idx").rle_id().diff().fill_null(1))
        .to_series()
        .to_numpy()
    )
    keys = curves.select("battery_id", "cycle_idx").gather(starts).rows()
    for key, part in zip(keys, np.split(values, starts[1:]), strict=True):
        if key in place:
            out[place[key]] = resample(part, grid)
    strangers = [
        len(part) for key, part in zip(keys, np.split(values, starts[1:]), strict=True) if key not in place
    ]
    if strangers:
        counts[f"rows of {path.name} whose discharge is not in {SUMMARY}, dropped"] = sum(strangers)
    twice = int(curves.select("battery_id", "cycle_idx", "Time").is_duplicated().sum())
    if twice:
        counts[f"rows of {path.name} that share their time with another one of their discharge, kept"] = twice
    unloaded = int(np.isnan(out[:, 0, 0]).sum())
    if unloaded:
        counts[f"discharges without an early curve in {path.name}"] = unloaded
    return out, counts


def resample(part: Array, grid: Array) -> Array:
    """Columns time, voltage, temperature, current of one discharge -> (grid, channel)."""
    loaded = np.flatnonzero(part[:, 3] < LOAD_A)
    if len(loaded) == 0:
        return np.full((len(grid), 3), np.nan)
    part = part[loaded[0] : loaded[-1] + 1]
    since = part[:, 0] - part[0, 0]
    columns = [np.interp(grid, since, part[:, channel], right=np.nan) for channel in (1, 2, 3)]
    return np.stack(columns, axis=1)


def early_readings(curve: Array, grid_s: float) -> tuple[Array, tuple[str, ...]]:
    """A few readings of the early curve as inputs, for models that take no curve."""
    at = [(seconds, round(seconds / grid_s)) for seconds in READINGS_S]
    at = [(seconds, place) for seconds, place in at if place < curve.shape[1]]
    names = [f"voltage_{seconds}s_v" for seconds, _ in at] + ["warming_c", "current_a"]
    columns = [curve[:, place, 0] for _, place in at]
    columns += [curve[:, -1, 1] - curve[:, 0, 1], curve[:, at[0][1] if at else 0, 2]]
    return np.stack(columns, axis=1).astype(np.float64), tuple(names)
