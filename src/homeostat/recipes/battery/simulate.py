"""Cells whose fade is known: two loss mechanisms, a temperature law and a knee, written as a tidy file.

State of a cell: x = lithium lost to the growing surface film, p = lithium lost to plating; health = 1 - x - p.
    dx/dt = K_FILM a(T, E_FILM) s / (1 + x / X_SLOW)            slows down as the film thickens
    dp/dt = K_PLATING a(T, E_PLATING) s (p + P_SEED) (1 - p)    grows on itself: the knee
    a(T, E) = exp(E / R (1 / T_REFERENCE - 1 / T))              Arrhenius; plating has E < 0, it is worse in the cold
s is the pace of the cell. Everything about a cell is a function of (seed, name of the cell) alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from homeostat.data.ragged import Array
from homeostat.data.simulation import rk4
from homeostat.data.splits import lot

GAS_CONSTANT = 8.314
T_REFERENCE_K = 298.15
K_FILM, E_FILM, X_SLOW = 1.2e-3, 3.0e4, 0.03
K_PLATING, E_PLATING, P_SEED = 1.4e-2, -2.0e4, 6e-4

AMBIENT_C = (10.0, 25.0, 40.0)
LIFE_DAYS = 500.0
RATED_AH = 5.0
NOISE_HEALTH = 0.002
NOISE_RESISTANCE = 0.01
# Tests of real cells end around here.
END_OF_TEST = 0.65


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A simulated cell before any measurement."""

    name: str
    ambient_c: float
    pace: float
    resistance_ohm: float
    days: Array
    """Own measurement times, irregular, the first one 0."""

    @property
    def temperature_k(self) -> float:
        return self.ambient_c + 273.15


def draw_cell(seed: int, number: int, *, life_days: float = LIFE_DAYS) -> Cell:
    """Cell `number` is the same in a cohort of 5 and of 500."""
    name = f"S{number:03d}"
    draw = np.random.default_rng(lot(seed, "cell", name))
    gaps = draw.gamma(4.0, life_days / 160, size=60)
    days = np.concatenate([[0.0], np.cumsum(gaps)])
    last = life_days * draw.uniform(0.7, 1.0)
    return Cell(
        name=name,
        ambient_c=AMBIENT_C[number % len(AMBIENT_C)] + float(draw.normal(0, 1.5)),
        pace=float(np.exp(draw.normal(0, 0.15))),
        resistance_ohm=float(0.025 * np.exp(draw.normal(0, 0.05))),
        days=np.round(days[days <= last], 2),
    )


def arrhenius(temperature_k: Array | float, energy: float) -> Array:
    return np.exp(energy / GAS_CONSTANT * (1 / T_REFERENCE_K - 1 / np.asarray(temperature_k)))


def vector_field(state: Array, temperature_k: Array | float, pace: Array | float) -> Array:
    """d(x, p)/dt per day; state (..., 2), temperature and pace broadcast against (...)."""
    film, plating = state[..., 0], state[..., 1]
    d_film = K_FILM * arrhenius(temperature_k, E_FILM) * pace / (1 + film / X_SLOW)
    grown = (plating + P_SEED) * (1 - plating)
    d_plating = K_PLATING * arrhenius(temperature_k, E_PLATING) * pace * grown
    return np.stack(np.broadcast_arrays(d_film, d_plating), axis=-1)


def solve(cell: Cell, *, longest_step: float = 1.0) -> Array:
    """(time, 2): the state at the cell's own times until the end of the test, by steps of at most a day."""
    field = partial(vector_field, temperature_k=cell.temperature_k, pace=cell.pace)
    state = np.zeros(2)
    states = [state]
    for gap in np.diff(cell.days):
        count = max(1, int(np.ceil(gap / longest_step)))
        for _ in range(count):
            state = rk4(field, state, gap / count)
        if 1 - state.sum() < END_OF_TEST:
            break
        states.append(state)
    return np.stack(states)


def measure(cell: Cell, state: Array, seed: int) -> pl.DataFrame:
    """The log of a battery management system: noisy health, resistance, throughput, temperature."""
    draw = np.random.default_rng(lot(seed, "noise", cell.name))
    film, plating = state[:, 0], state[:, 1]
    days = cell.days[: len(state)]
    health = 1 - film - plating
    resistance = cell.resistance_ohm * (1 + 2 * film + plating)
    between = np.diff(days, prepend=0.0) * RATED_AH * 2 * cell.pace
    return pl.DataFrame(
        {
            "cell": [cell.name] * len(days),
            "time_days": days,
            "soh": health + draw.normal(0, NOISE_HEALTH, len(health)),
            "temperature_c": cell.ambient_c + draw.normal(0, 0.5, len(health)),
            "resistance_ohm": resistance * (1 + draw.normal(0, NOISE_RESISTANCE, len(health))),
            "throughput_ah": np.cumsum(between * health),
        }
    )


def simulate(folder: Path, seed: int, *, cells: int = 24, life_days: float = LIFE_DAYS) -> None:
    """`cells.csv` as the tidy reader takes it (time column `time_days`), and what is true under `truth/`."""
    drawn = [draw_cell(seed, number, life_days=life_days) for number in range(cells)]
    states = [solve(cell) for cell in drawn]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "truth").mkdir(exist_ok=True)
    measured = [measure(cell, state, seed) for cell, state in zip(drawn, states, strict=True)]
    pl.concat(measured).write_csv(folder / "cells.csv")
    pl.concat(truth(drawn, states)).write_csv(folder / "truth" / "trajectories.csv")
    pl.DataFrame(
        {
            "cell": [cell.name for cell in drawn],
            "ambient_c": [cell.ambient_c for cell in drawn],
            "pace": [cell.pace for cell in drawn],
            "resistance_ohm": [cell.resistance_ohm for cell in drawn],
        }
    ).write_csv(folder / "truth" / "cells.csv")


def truth(drawn: Sequence[Cell], states: Sequence[Array]) -> list[pl.DataFrame]:
    return [
        pl.DataFrame(
            {
                "cell": [cell.name] * len(state),
                "time_days": cell.days[: len(state)],
                "film": state[:, 0],
                "plating": state[:, 1],
                "soh": 1 - state.sum(axis=1),
            }
        )
        for cell, state in zip(drawn, states, strict=True)
    ]
