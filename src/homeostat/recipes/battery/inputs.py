"""From a store to tracks: the cells that take part, the clock that they age by, and what is known of each step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.errors import ConfigError, did_you_mean
from homeostat.recipes.battery.track import Track, whole

# An input that is measured off the times, beside those of the data.
REST = "rest"
NASA_CELLS = ("B0005", "B0006", "B0007")
SLOPE, WARMING = "inverse_slope_s_per_mv", "warming_c"
# After the stage transition of graphite (350 to 550 s at 2 A in these cells, where the slope has a bump that moves
# with age) and before the end of the early part. Neighbouring windows give the same error within 0.1 %.
SLOPE_FROM_S, SLOPE_TO_S = 700.0, 900.0
# Cells of one rig share their schedule to the minute; ten discharges make a coincidence impossible.
SHARED_STEPS, SHARED_DAYS = 10, 0.02
# The publication's primary test cells. Cells of further splits take no part; `predict` is there for them.
PARTS = {"train": "train", "test": "test", "test1": "test", "primary": "test"}


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The cells of a store, as tracks."""

    tracks: tuple[Track, ...]
    names: tuple[str, ...]
    """Names of the inputs."""
    target: str
    unit: str
    """Unit of the tracks' time."""
    groups: tuple[str, ...]
    """Cells that were cycled side by side share a group; one gives away the schedule of the other."""

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(track.cell for track in self.tracks)

    def of(self, cells: Sequence[str]) -> list[Track]:
        """The tracks of some cells."""
        by_name = {track.cell: track for track in self.tracks}
        return [by_name[cell] for cell in cells]


def read_cells(
    store: Store, *, cells: Sequence[str] = (), inputs: Sequence[str] = (), early: bool = True
) -> Cells:
    """The tracks of the cells named, or of all. `early` reads the early discharge curve, where there is one.

    Without inputs in the store the tracks have none.
    """
    known = [str(cell) for cell in store["cell"]]
    chosen = pick("cell", known, cells, default=known)
    columns = measured(store, early=early)
    names = pick("input", list(columns), inputs, default=_default(columns, early))
    unit, time = clock(store)
    target, groups = store.ragged("target"), side_by_side(store)
    rows = [known.index(cell) for cell in chosen]
    tracks = []
    for cell, row in zip(chosen, rows, strict=True):
        start, end = target.offsets[row : row + 2]
        nothing = np.empty((end - start, 0))
        values = np.column_stack([nothing, *(columns[name][start:end] for name in names)])
        tracks.append(whole(cell, time[start:end], values, target[row]))
    return Cells(
        tracks=tuple(tracks),
        names=names,
        target=str(store.meta["target_name"]),
        unit=unit,
        groups=tuple(groups[row] for row in rows),
    )


def clock(store: Store) -> tuple[str, Array]:
    """Cells age by use: by cycle where it is counted, by the store's own time otherwise. (unit, (N,))."""
    names = list(store.meta["input_names"])
    if "cycle" in names:
        return "cycles", np.asarray(store.ragged("inputs").values[:, names.index("cycle")], np.float64)
    return str(store.meta["time_unit"]), np.asarray(store.ragged("time").values, np.float64)


def measured(store: Store, *, early: bool) -> dict[str, Array]:
    """Every input of the store by name, (N,) each, and what is derived from the early curve."""
    names = [str(name) for name in store.meta["input_names"]]
    values = np.asarray(store.ragged("inputs").values, np.float64)
    columns = {name: values[:, place] for place, name in enumerate(names)}
    if early and "curve_time_s" in store.meta:
        columns |= early_discharge(store)
    return columns


def early_discharge(store: Store) -> dict[str, Array]:
    """Two readings that do not depend on a cell's contact resistance, which shifts every voltage of its curve.

    The slope of the voltage goes as 1 / capacity. The warming goes as the overpotential that the current works
    against. Both are from the first 1,000 s, a third to a half of a discharge.
    """
    seconds = np.asarray(store.meta["curve_time_s"], np.float64)
    curve = np.asarray(store.ragged("curve").values, np.float64)
    if seconds[-1] < SLOPE_TO_S:
        raise ConfigError(
            f"early_s {seconds[-1]:g} ends before {SLOPE_TO_S:g} s, up to where the slope of the discharge is read. "
            "Raise --early-s to 1000, or name other --inputs."
        )
    inside = (seconds >= SLOPE_FROM_S) & (seconds <= SLOPE_TO_S)
    since = seconds[inside] - seconds[inside].mean()
    slope_v_per_s = -(curve[:, inside, 0] @ since) / (since @ since)
    with np.errstate(divide="ignore"):
        inverse = np.where(slope_v_per_s > 1e-6, 1e-3 / slope_v_per_s, np.nan)
    return {SLOPE: inverse, WARMING: curve[:, -1, 1] - curve[:, 0, 1]}


def _default(columns: Mapping[str, Array], early: bool) -> tuple[str, ...]:
    if early and SLOPE in columns:
        return (SLOPE, WARMING)
    # A rising count is the clock already; as an input it would be extrapolated beyond the training cells' lives.
    return tuple(name for name, values in columns.items() if name != "cycle" and np.isfinite(values).any())


def pick(
    kind: str, known: Sequence[str], wanted: Sequence[str], *, default: Sequence[str]
) -> tuple[str, ...]:
    """The cells or inputs that are wanted, or the default."""
    for name in wanted:
        if name not in known:
            raise ConfigError(f"There is no {kind} {name!r} in the data.{did_you_mean(name, known)}")
    return tuple(wanted or default)


def published(store: Store) -> dict[str, str | None]:
    """The part of each cell in the split that the data come with; None everywhere if none is for training."""
    cells = [str(cell) for cell in store["cell"]]
    names = [str(name) for name in store["split"]] if "split" in store else []
    if "train" not in names:
        return dict.fromkeys(cells)
    return {cell: PARTS.get(name) for cell, name in zip(cells, names, strict=True)}


def side_by_side(store: Store) -> list[str]:
    """The group of each cell: the first cell with the same days of its first discharges."""
    time = store.ragged("time")
    names = [str(name) for name in store["cell"]]
    groups: list[str] = []
    if store.meta["source"] != "nasa":
        return names
    for row in range(len(time)):
        same = next((first for first in range(row) if _same_days(time[first], time[row])), row)
        groups.append(groups[same] if same < row else names[row])
    return groups


def _same_days(one: Array, other: Array) -> bool:
    count = min(SHARED_STEPS, len(one), len(other))
    return count == SHARED_STEPS and bool(np.abs(one[:count] - other[:count]).max() < SHARED_DAYS)
