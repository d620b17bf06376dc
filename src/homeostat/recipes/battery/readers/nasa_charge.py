"""The time at constant current of the charge before a discharge. B0005, B0006 and B0007 have charge curves.

The duration is known before the discharge begins. It shrinks with health, because a worn cell reaches its
upper voltage earlier.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.ragged import Array
from homeostat.data.table import Column, read_table

FILE = "charge_curves.parquet"

# All three cells ran in one rig on one schedule. Test numbers 22 and 23, between discharges 11 and 12, are both
# charges; from then on the charge before discharge m is number m + 1. The amount recharged confirms it: charge
# m + 2 returns what discharge m took, within 2 %.
CHARGED_TWICE_BEFORE = 12
CONSTANT_A = 1.3
# Charge 1 begins at 4.02 V under load, with a cell that is nearly full: its duration says nothing about health.
HIGHEST_START_V = 3.95
SHORTEST_S = 60.0


def durations(path: Path, frame: pl.DataFrame) -> tuple[Array, dict[str, int]]:
    """Seconds at constant current for each row (battery_id, cycle) of `frame`, NaN where not known; and the counts
    of rows that cannot be used."""
    out = np.full(len(frame), np.nan)
    if not os.path.lexists(path):
        return out, {}
    names = ("charge_idx", "charge_time", "current", "voltage")
    declared = [Column(name="battery_id", kind="text"), *(Column(name=name) for name in names)]
    table = read_table(path, declared)
    counts = dict(table.counts)
    strangers = int((~table.frame["battery_id"].is_in(frame["battery_id"].unique())).sum())
    if strangers:
        counts[f"rows of {path.name} whose cell is not in the summary, dropped"] = strangers
    constant = (
        table.frame.lazy()
        .filter(pl.col("current") > CONSTANT_A)
        .group_by("battery_id", "charge_idx")
        .agg(
            start_v=pl.col("voltage").sort_by("charge_time").slice(3, 1).first(),
            duration_s=pl.col("charge_time").max() - pl.col("charge_time").min(),
        )
        .filter((pl.col("start_v") < HIGHEST_START_V) & (pl.col("duration_s") > SHORTEST_S))
        .collect()
    )
    known = {
        (cell, charge): duration
        for cell, charge, duration in constant.select("battery_id", "charge_idx", "duration_s").rows()
    }
    for row, (cell, cycle) in enumerate(frame.select("battery_id", "cycle").rows()):
        charge = int(cycle) + (cycle >= CHARGED_TWICE_BEFORE)
        out[row] = known.get((cell, charge), np.nan)
    return out, counts
