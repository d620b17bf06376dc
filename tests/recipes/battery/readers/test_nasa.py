"""Laws of the NASA reader: every discharge is kept, unsound ones have no target, and no input sees the future."""

import numpy as np
import polars as pl
import pytest

from homeostat.recipes.battery.readers import nasa, nasa_charge
from homeostat.recipes.battery.readers.nasa import judge, read, resample


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "battery" / "nasa"


@pytest.fixture(scope="module")
def cohort(folder):
    return read(folder, rated_ah=2.0, early_s=1000, grid_s=25)


@pytest.fixture(scope="module")
def summary(folder):
    return pl.read_parquet(folder / nasa.SUMMARY).sort("battery_id", "cycle")


def test_every_discharge_is_a_step(cohort, summary):
    assert cohort.steps.sum() == len(summary) == len(cohort.time)
    assert cohort.cells == tuple(summary["battery_id"].unique().sort())
    assert np.array_equal(np.repeat(cohort.cells, cohort.steps), summary["battery_id"].to_numpy())


def test_health_is_capacity_by_rated_capacity_of_the_same_discharge(cohort, summary):
    health = summary["capacity_ah"].fill_null(np.nan).to_numpy() / 2
    sound = cohort.arrays["status"] == 0
    np.testing.assert_array_equal(cohort.target[sound], health[sound])
    assert np.isnan(cohort.target[~sound]).all()
    assert cohort.target[sound].min() >= 0.25
    assert cohort.target[sound].max() <= 1.1


def test_each_discharge_without_a_target_has_a_reason_that_is_counted(cohort):
    kept = sum(number for what, number in cohort.counts.items() if what.startswith("discharges kept"))
    assert kept == (cohort.arrays["status"] > 0).sum() == np.isnan(cohort.target).sum() == 261
    first = np.r_[0, np.cumsum(cohort.steps)[:-1]]
    broken = {
        cell for cell, row in zip(cohort.cells, first, strict=True) if cohort.arrays["status"][row] == 4
    }
    assert broken == {"B0034", "B0038", "B0049", "B0050", "B0051", "B0052", "B0054", "B0056"}


def test_the_three_classic_cells_are_whole(cohort):
    ends = np.cumsum(cohort.steps)
    for cell in ("B0005", "B0006", "B0007"):
        number = cohort.cells.index(cell)
        span = slice(ends[number] - cohort.steps[number], ends[number])
        assert np.isfinite(cohort.target[span]).sum() == 168
        assert np.isfinite(cohort.inputs[span, :-1]).all()
        assert np.isfinite(cohort.inputs[span, -1]).sum() == 166  # Charge 1 began full, charge 33 broke off.
        assert np.isfinite(cohort.arrays["curve"][span]).all()


def test_no_input_is_measured_over_the_complete_discharge(cohort):
    known = {"cycle", "ambient_c", "re_ohm", "rct_ohm", "warming_c", "current_a", "charge_cc_s"}
    assert set(cohort.input_names) == known | {f"voltage_{s}s_v" for s in (50, 200, 500, 1000)}


def test_a_curve_does_not_depend_on_what_follows_the_early_part(folder, summary, tmp_path):
    curves = pl.read_parquet(folder / nasa.CURVES).filter(pl.col("battery_id") == "B0006")
    curves.filter(pl.col("Time") < 1100).write_parquet(tmp_path / "cut.parquet")
    curves.write_parquet(tmp_path / "whole.parquet")
    frame = summary.filter(pl.col("battery_id") == "B0006")
    whole, cut = (
        nasa.early_curves(tmp_path / name, frame, early_s=1000, grid_s=25)[0]
        for name in ("whole.parquet", "cut.parquet")
    )
    np.testing.assert_array_equal(whole, cut)


def test_the_clock_of_a_curve_starts_with_the_load_and_stops_with_it():
    time = np.arange(0.0, 200, 10)
    loaded = (time >= 30) & (time < 120)
    part = np.stack([time, 4 - time / 1000, 24 + time, np.where(loaded, -2.0, 0.0)], axis=1)
    curve = resample(part, np.array([0.0, 5, 80, 85]))
    np.testing.assert_allclose(curve[:3, 0], [3.97, 3.965, 3.89])
    np.testing.assert_allclose(curve[:3, 2], -2)
    assert np.isnan(curve[3]).all()
    assert np.isnan(resample(part[:3], np.array([0.0]))).all()


def test_rules_for_unsound_discharges():
    health = np.array([0.3, 0.9, 0.9, 0.01, np.nan, 1.3, 0.88, 0.9, 0.9])
    cell = np.array(["a"] * 6 + ["b"] * 2 + ["c"])
    curve = np.full((9, 3, 3), np.nan)
    curve[2] = [[4, 4, 4], [3, 3, 3], [np.nan] * 3]
    curve[1] = 4
    assert judge(health, cell, curve).tolist() == [4, 0, 5, 2, 1, 3, 0, 0, 0]


def test_cells_without_curves_are_read_too(folder, tmp_path):
    (tmp_path / nasa.SUMMARY).write_bytes((folder / nasa.SUMMARY).read_bytes())
    cohort = read(tmp_path, rated_ah=2.0, early_s=1000, grid_s=25)
    assert np.isnan(cohort.arrays["curve"]).all()
    assert np.isfinite(cohort.target).sum() == 2244 - 259


def test_a_charge_is_paired_with_the_discharge_after_it(folder, summary):
    """Charge m + 2 returns what discharge m took (plus some heat): so charge m + 1 comes before it."""
    charges = pl.read_parquet(folder / nasa_charge.FILE).filter(pl.col("battery_id") == "B0005")
    capacity = summary.filter(pl.col("battery_id") == "B0005")["capacity_ah"].to_numpy()
    ratio = []
    for discharge in (*range(13, 31), *range(33, 160, 7)):
        part = charges.filter(pl.col("charge_idx") == discharge + 2)
        amount = np.trapezoid(part["current"].clip(0).to_numpy(), part["charge_time"].to_numpy()) / 3600
        ratio.append(amount / capacity[discharge - 1])
    assert 0.995 < min(ratio) < max(ratio) < 1.03


def test_the_duration_of_the_charge_falls_with_health(cohort):
    sound = np.isfinite(cohort.inputs[:, -1]) & np.isfinite(cohort.target)
    assert np.corrcoef(cohort.inputs[sound, -1], cohort.target[sound])[0, 1] > 0.9
