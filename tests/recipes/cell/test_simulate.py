"""Laws of the simulated cells: the optics are right, donors differ, and the truth is the best that can be told."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from homeostat.recipes.cell import simulate as cells


def test_a_decay_behind_its_response_has_the_mean_arrival_of_both():
    # Far below the period, where nothing wraps around: mean arrival = centre of the response + lifetime.
    time = (np.arange(cells.TIME_BINS) + 0.5) * cells.PERIOD_NS / cells.TIME_BINS
    mean = float(cells.component(0.4) @ time)
    assert mean == pytest.approx(cells.RESPONSE_NS[0] + 0.4, abs=0.01)


@pytest.mark.parametrize("free", [0.5, 0.75, 0.95])
def test_arrival_times_are_a_distribution(free):
    share = cells.arrival(free)
    assert share.sum() == pytest.approx(1)
    assert (share > 0).all()


def test_more_free_means_earlier_light():
    time = np.arange(cells.TIME_BINS)
    means = [float(cells.arrival(free) @ time) for free in (0.6, 0.7, 0.8)]
    assert means == sorted(means, reverse=True)


def test_photon_noise_is_poisson():
    donor = cells.DONORS[0]
    shares = cells.arrival(0.7)
    random = np.random.default_rng(0)
    drawn = np.stack([random.poisson(donor.photons_per_pixel * shares) for _ in range(4000)])
    lit = drawn.mean(axis=0) > 0.1
    np.testing.assert_allclose(drawn.var(axis=0)[lit] / drawn.mean(axis=0)[lit], 1, atol=0.15)


def test_the_bayes_score_is_calibrated():
    """70 % of the cells whose log odds say 70 % are active: so nobody who sees the same light can rank them better."""
    random = np.random.default_rng(1)
    active = random.random(1500) < 0.5
    light = [random.poisson(2000 * cells.arrival(cells.free_share(random, bool(each)))) for each in active]
    labels = 1 / (1 + np.exp(-np.array([cells.bayes_score(histogram) for histogram in light])))
    for low, high in ((0.0, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        chosen = (labels >= low) & (labels < high)
        error = active[chosen].mean() - labels[chosen].mean()
        assert abs(error) < 4 * np.sqrt(0.25 / chosen.sum())


def test_donors_differ_in_prior_and_in_which_class_is_the_brighter(cohort):
    truth = pl.read_csv(cohort / "truth.csv")
    shares = dict(truth.group_by("donor").agg(pl.col("active").mean()).iter_rows())
    assert shares["D4"] > 0.6 > 0.4 > shares["D2"]
    bright = {
        name: roc_auc_score(part["active"], part["photons"]) for (name,), part in truth.group_by("donor")
    }
    assert bright["D5"] > 0.75
    assert bright["D4"] < 0.6


def test_the_same_seed_gives_the_same_cells(tmp_path):
    for name in ("a", "b"):
        cells.simulate(tmp_path / name, seed=4, cells=4)
    first, second = ((tmp_path / name / "truth.csv").read_text() for name in ("a", "b"))
    assert first == second
    file = next((tmp_path / "a" / "isolated_cells_D1").glob("*.npy"))
    again = tmp_path / "b" / "isolated_cells_D1" / file.name
    np.testing.assert_array_equal(np.load(file), np.load(again))
