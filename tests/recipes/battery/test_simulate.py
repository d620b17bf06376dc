"""Laws of the simulator: deterministic by address, true to its vector field, and shaped as cells age."""

import numpy as np
import polars as pl
import pytest
from scipy.integrate import solve_ivp

from homeostat.recipes.battery.simulate import arrhenius, draw_cell, simulate, solve, vector_field


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        simulate(tmp_path / name, seed, cells=3)
    read = {name: (tmp_path / name / "cells.csv").read_bytes() for name in "abc"}
    assert read["a"] == read["b"] != read["c"]


def test_a_cell_is_the_same_in_a_larger_cohort(tmp_path):
    simulate(tmp_path / "few", 1, cells=2)
    simulate(tmp_path / "many", 1, cells=5)
    few, many = (pl.read_csv(tmp_path / name / "cells.csv") for name in ("few", "many"))
    assert few.equals(many.filter(pl.col("cell").is_in(["S000", "S001"])))


@pytest.mark.parametrize("number", range(3))
def test_the_truth_solves_the_vector_field(number):
    cell = draw_cell(0, number)
    state = solve(cell)
    days = cell.days[: len(state)]
    reference = solve_ivp(
        lambda _, y: vector_field(y, cell.temperature_k, cell.pace),
        (0, days[-1]),
        np.zeros(2),
        method="DOP853",
        t_eval=days,
        rtol=1e-10,
        atol=1e-12,
    )
    np.testing.assert_allclose(state, reference.y.T, atol=1e-7)


def test_measurements_scatter_about_the_truth_as_declared(tmp_path):
    simulate(tmp_path, 0, cells=24)
    measured, true = (pl.read_csv(tmp_path / name) for name in ("cells.csv", "truth/trajectories.csv"))
    assert measured.select("cell", "time_days").equals(true.select("cell", "time_days"))
    error = (measured["soh"] - true["soh"]).to_numpy()
    assert abs(error.mean()) < 4 * 0.002 / np.sqrt(len(error))
    assert error.std() == pytest.approx(0.002, rel=0.1)


def test_most_cells_have_a_knee_and_all_their_own_times():
    cells = [draw_cell(0, number) for number in range(24)]
    assert len({tuple(cell.days) for cell in cells}) == 24
    bent = 0
    for cell in cells:
        state = solve(cell)
        rate = np.diff(1 - state.sum(axis=1)) / np.diff(cell.days[: len(state)])
        slowest = np.argmax(rate)
        bent += bool(rate[-1] < 1.5 * rate[slowest] and 0 < slowest < len(rate) - 1)
    assert bent >= 16


def test_heat_feeds_the_film_and_cold_the_plating():
    assert arrhenius(298.15, 3e4) == 1
    cold, warm = (vector_field(np.array([0.05, 0.05]), kelvin, 1.0) for kelvin in (283.15, 313.15))
    assert cold[0] < warm[0]
    assert cold[1] > warm[1]
