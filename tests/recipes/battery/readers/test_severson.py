"""Laws of the fast-charging set's reader: curves belong to their cell, impossible cycles have no target."""

import shutil

import numpy as np
import polars as pl
import pytest

from homeostat.errors import DataError
from homeostat.recipes.battery.readers import severson


@pytest.fixture(scope="module")
def folder(shared_data):
    return shared_data / "battery" / "severson"


@pytest.fixture(scope="module")
def cohort(folder):
    return severson.read(folder, rated_ah=1.1)


def test_published_split_and_life_are_kept(cohort):
    assert dict(zip(*np.unique(cohort.arrays["split"], return_counts=True), strict=True)) == {
        "test1": 43,
        "train": 41,
    }
    assert cohort.arrays["cycle_life"].min() == 148
    assert cohort.arrays["cycle_life"].max() == 2237


def test_the_classic_feature_follows_from_the_curves(cohort):
    """log10 of the variance of Q100(V) - Q10(V), as published beside the curves."""
    cycles = cohort.meta["qv_cycles"]
    qv = cohort.arrays["qv_ah"]
    change = qv[:, cycles.index(100)] - qv[:, cycles.index(10)]
    variance = np.log10(change.var(axis=1))
    known = np.isfinite(variance)
    assert known.sum() >= 82
    np.testing.assert_allclose(variance[known], cohort.arrays["classic"][known, 0], atol=0.01)


def test_counter_jumps_have_no_target(cohort):
    assert np.isnan(cohort.target).sum() == 4
    assert np.nanmax(cohort.target) < 1.1
    assert cohort.counts["cycles kept without a target: more than 1.3 times the rated capacity"] == 4
    assert np.nanmax(cohort.arrays["qv_ah"]) < 1.43


def test_curves_are_paired_by_name_not_by_place(folder, tmp_path):
    for name in (severson.CAPACITY, severson.CURVES):
        shutil.copy(folder / name, tmp_path)
    cells = pl.read_parquet(folder / severson.CELLS)
    cells.reverse().write_parquet(tmp_path / severson.CELLS)
    turned, straight = severson.read(tmp_path, rated_ah=1.1), severson.read(folder, rated_ah=1.1)
    assert turned.cells == straight.cells[::-1]
    np.testing.assert_array_equal(turned.arrays["qv_ah"], straight.arrays["qv_ah"][::-1])
    assert turned.target[:99].tolist() == straight.target[-99:].tolist()
    pl.concat([cells, cells[:1].with_columns(cell=pl.lit("new"))]).write_parquet(tmp_path / severson.CELLS)
    with pytest.raises(DataError, match="has no curves of cell new"):
        severson.read(tmp_path, rated_ah=1.1)
