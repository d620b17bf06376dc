"""Laws of the check for disguises: what equals the target is flagged, what merely ages beside it is not."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from homeostat.data import disguise
from homeostat.data.disguise import ripple, spearman
from homeostat.recipes.battery.readers import nasa


@dataclass(frozen=True)
class Series:
    columns: dict[str, np.ndarray]
    health: np.ndarray
    time: np.ndarray
    steps: list[int]


def flags(series: Series, unit: str = "cells"):
    return disguise.flags(
        series.columns, series.health, series.time, np.array(series.steps), target_name="soh", unit=unit
    )


@pytest.fixture
def fading() -> Series:
    """Six cells that fade with noise; irregular times; resistance and throughput age along."""
    draw = np.random.default_rng(0)
    time = np.concatenate([np.cumsum(draw.gamma(2, 1, 30)) for _ in range(6)])
    health = 1 - 0.003 * time + draw.normal(0, 0.003, len(time))
    columns = {
        "time_under_load_s": 3600 * health + draw.normal(0, 0.5, len(time)),
        "used_ah": 2 * (1 - health),
        "throughput_ah": 4.0 * time - 0.003 * time**2,
        "cycle": np.tile(np.arange(30.0), 6),
        "resistance_ohm": 0.02 + 1e-4 * time + draw.normal(0, 2e-4, len(time)),
        "constant": np.ones(len(time)),
    }
    return Series(columns, health, time, [30] * 6)


def test_disguises_are_flagged_and_honest_inputs_are_not(fading):
    flagged = flags(fading)
    assert [flag.name for flag in flagged] == ["time_under_load_s", "used_ah"]
    assert str(flagged[1]) == (
        "Input used_ah orders the steps of 6 of 6 cells as soh does, ups and downs included (|Spearman| 1.0000): "
        "it is the target in disguise, known only when the target is."
    )


def test_a_disguise_with_gaps_is_still_flagged(fading):
    fading.columns["used_ah"][::4] = np.nan
    fading.health[::7] = np.nan
    assert "used_ah" in [flag.name for flag in flags(fading)]


def test_few_steps_prove_nothing(fading):
    first = {name: values[:9] for name, values in fading.columns.items()}
    assert flags(Series(first, fading.health[:9], fading.time[:9], [9])) == ()


def test_ripples_of_a_line_are_zero_at_any_times():
    time = np.array([0.0, 1, 1, 5, 6])
    np.testing.assert_allclose(ripple(3 - 2 * time, time), 0, atol=1e-12)
    assert spearman(np.ones(3), np.arange(3.0)) == 0


def test_rank_correlation_is_that_of_scipy_with_ties():
    draw = np.random.default_rng(0)
    x, y = draw.integers(0, 5, 40).astype(float), draw.normal(size=40)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic)


def test_the_duration_of_a_complete_discharge_is_flagged_on_real_cells(shared_data):
    frame = pl.read_parquet(shared_data / "battery" / "nasa" / nasa.SUMMARY)
    frame = frame.filter(pl.col("battery_id").is_in(["B0005", "B0006", "B0007"]))
    names = ("cycle", "days", "re_ohm_nearest", "rct_ohm_nearest", "duration_s", "load_end_s")
    columns = {name: frame[name].cast(pl.Float64).to_numpy() for name in names}
    health = frame["capacity_ah"].to_numpy() / 2
    flagged = flags(Series(columns, health, frame["days"].to_numpy(), [168] * 3))
    assert [flag.name for flag in flagged] == ["duration_s", "load_end_s"]
    assert disguise.LEVELS < flagged[0].rank_correlation < flagged[1].rank_correlation
