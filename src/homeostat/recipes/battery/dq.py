"""Features of the first 100 cycles of a fast-charged cell, which foretell its life.

Severson KA, Attia PM, et al., Nature Energy 2019;4:383-391: the change of Q(V) between two cycles, in moments,
and the course of the capacity.
"""

from __future__ import annotations

import numpy as np

from homeostat.data.ragged import Array
from homeostat.data.store import Store
from homeostat.errors import DataError

LATE, EARLY = 100, 10
# Further early cycles: single curves are noisy, and a later start skips the first cycles' formation.
EARLIER = (20, 30, 50)
MOMENTS = ("log_var", "log_min", "log_mean", "log_skew", "log_kurtosis", "log_at_2v")
PAIRS = tuple(f"{name}_{early}" for early in EARLIER for name in ("log_var", "log_min"))
CAPACITY = ("fade_slope", "fade_intercept", "late_slope", "first_qd", "gained_qd", "last_qd")
NAMES = (*MOMENTS, *PAIRS, *CAPACITY)
# Cycles whose slope is the late one, and neighbours whose median replaces a broken capacity.
LATE_CYCLES, NEIGHBOURS = 10, 3


def features(store: Store) -> dict[str, Array]:
    """(C,) each, by name."""
    curves, cycles = np.asarray(store["qv_ah"], np.float64), np.asarray(store.meta["qv_cycles"])
    if cycles[-1] < LATE:
        raise DataError(
            f"The discharge curves end at cycle {cycles[-1]}; cycle life needs them until {LATE}."
        )
    late = curve_at(curves, cycles, LATE)
    columns = dict(zip(MOMENTS, moments(late - curve_at(curves, cycles, EARLY)), strict=True))
    for early in EARLIER:
        change = late - curve_at(curves, cycles, early)
        columns |= {
            f"log_var_{early}": _log(change.var(axis=1)),
            f"log_min_{early}": _log(change.min(axis=1)),
        }
    return columns | dict(zip(CAPACITY, course(store), strict=True))


def curve_at(curves: Array, cycles: Array, cycle: int) -> Array:
    """Each cell's Q(V) of that cycle, or of the nearest one that is whole, (C, V)."""
    whole = np.asarray(np.isfinite(curves).all(axis=2))
    usable = np.asarray(whole.any(axis=1))
    if not usable.all():
        raise DataError(f"Cell number {int(np.argmin(usable))} has no whole discharge curve. Leave it out.")
    distance = np.where(whole, np.abs(cycles - cycle), np.inf)
    return np.asarray(curves[np.arange(len(curves)), distance.argmin(axis=1)])


def moments(change: Array) -> tuple[Array, ...]:
    """Six moments of the change of Q(V), as logarithms of their size."""
    centred = change - change.mean(axis=1, keepdims=True)
    spread = change.std(axis=1)
    return (
        _log(change.var(axis=1)),
        _log(change.min(axis=1)),
        _log(change.mean(axis=1)),
        _log((centred**3).mean(axis=1) / spread**3),
        _log((centred**4).mean(axis=1) / spread**4),
        _log(change[:, -1]),
    )


def course(store: Store) -> tuple[Array, ...]:
    """Slope and intercept of the capacity, its late slope, its first value, its gain from there, its last value."""
    rows = []
    for cycle, capacity in zip(*capacities(store), strict=True):
        slope, intercept = np.polyfit(cycle, capacity, 1)
        late = np.polyfit(cycle[-LATE_CYCLES:], capacity[-LATE_CYCLES:], 1)[0]
        rows.append((slope, intercept, late, capacity[0], capacity.max() - capacity[0], capacity[-1]))
    return tuple(np.array(rows).T)


def capacities(store: Store) -> tuple[list[Array], list[Array]]:
    """Cycles and discharge capacities in Ah up to cycle 100; a broken one becomes the median of its neighbours."""
    time, health = store.ragged("time"), store.ragged("target")
    cycles, amounts = [], []
    for row in range(len(time)):
        early = np.asarray(time[row]) <= LATE
        capacity = np.asarray(health[row], np.float64)[early] * float(store.meta["rated_ah"])
        for place in np.flatnonzero(~np.isfinite(capacity)):
            capacity[place] = np.nanmedian(capacity[max(0, place - NEIGHBOURS) : place + NEIGHBOURS + 1])
        cycles.append(np.asarray(time[row], np.float64)[early])
        amounts.append(capacity)
    return cycles, amounts


def _log(values: Array) -> Array:
    return np.log10(np.abs(values) + 1e-9)
