"""A 95 % interval covers the truth in 93 to 97 % of simulated samples; subjects, not rows, are resampled."""

import numpy as np
import pytest
from scipy import stats

from homeostat.evaluate import bootstrap, weighted

MEAN = "mean"


def intervals_of_mean(draw, samples, **settings):
    """Share of samples whose interval covers a true mean of zero."""
    covered = 0
    for seed in range(samples):
        values, subjects = draw(np.random.default_rng(seed))
        drawn = bootstrap.resample(subjects, {MEAN: weighted.mean(values)}, resamples=600, seed=seed)[MEAN]
        interval = bootstrap.percentile(drawn, subjects=len(np.unique(subjects)), **settings)
        covered += interval.low <= 0 <= interval.high
    return covered / samples


def test_resamples_are_the_same_for_the_same_seed_and_for_every_statistic():
    values = np.random.default_rng(0).random(50)
    statistics = {"a": weighted.mean(values), "b": weighted.mean(values)}
    first = bootstrap.resample(np.arange(50), statistics, resamples=300, seed=1)
    again = bootstrap.resample(np.arange(50), statistics, resamples=300, seed=1)
    np.testing.assert_array_equal(first["a"], first["b"])
    np.testing.assert_array_equal(first["a"], again["a"])
    assert not np.array_equal(
        first["a"], bootstrap.resample(np.arange(50), statistics, resamples=300, seed=2)["a"]
    )


def test_the_spread_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(size=400)
    drawn = bootstrap.resample(np.arange(400), {MEAN: weighted.mean(values)}, resamples=4000)[MEAN]
    assert drawn.std() == pytest.approx(values.std() / 20, rel=0.05)


def test_the_names_and_order_of_subjects_do_not_matter_beyond_noise():
    values = np.random.default_rng(0).normal(size=200)
    subjects = np.repeat(np.arange(40), 5)
    a = bootstrap.resample(subjects, {MEAN: weighted.mean(values)}, resamples=500)[MEAN]
    shuffled = np.random.default_rng(1).permutation(200)
    b = bootstrap.resample(subjects[shuffled], {MEAN: weighted.mean(values[shuffled])}, resamples=500)[MEAN]
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_coverage_of_independent_rows():
    assert 0.93 <= intervals_of_mean(lambda r: (r.normal(size=40), np.arange(40)), 500) <= 0.97


def test_coverage_of_a_few_subjects():
    assert 0.925 <= intervals_of_mean(lambda r: (r.normal(size=8), np.arange(8)), 500) <= 0.985


def test_coverage_of_subjects_with_many_alike_rows_where_a_row_bootstrap_fails():
    def draw(random):
        return np.repeat(random.normal(size=40), 6) + 0.3 * random.normal(size=240), np.repeat(
            np.arange(40), 6
        )

    def draw_rows(random):
        return draw(random)[0], np.arange(240)

    assert 0.93 <= intervals_of_mean(draw, 400) <= 0.97
    assert intervals_of_mean(draw_rows, 100) < 0.75


def test_the_interval_shrinks_with_the_square_root_of_n():
    def width(n):
        values = np.random.default_rng(0).normal(size=n)
        drawn = bootstrap.resample(np.arange(n), {MEAN: weighted.mean(values)})[MEAN]
        interval = bootstrap.percentile(drawn, subjects=n)
        return interval.high - interval.low

    assert width(1600) / width(100) == pytest.approx(1 / 4, rel=0.25)


def test_one_subject_has_no_interval_and_few_are_called_rough():
    one = bootstrap.percentile(np.zeros(100), subjects=1)
    assert (one.low, one.high) == (None, None)
    assert bootstrap.percentile(np.arange(100.0), subjects=5).note == "only 5 subjects: the interval is rough"


def test_resamples_without_a_value_are_left_out_unless_they_are_many():
    some, many = np.arange(100.0), np.arange(100.0)
    some[:5], many[:50] = np.nan, np.nan
    assert bootstrap.percentile(some, subjects=100).low is not None
    assert bootstrap.percentile(many, subjects=100).low is None


def test_wilson_agrees_with_scipy_and_stays_inside_zero_and_one():
    for hits, n in ((0, 20), (20, 20), (7, 20), (560, 4000)):
        theirs = stats.binomtest(hits, n).proportion_ci(method="wilson")
        assert bootstrap.wilson(hits / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_the_logit_interval_stays_inside_zero_and_one():
    drawn = np.random.default_rng(0).beta(50, 1, 500)
    interval = bootstrap.on_logit_scale(drawn, 0.985, degrees=20)
    assert 0 < interval.low < 0.985 < interval.high < 1
    assert bootstrap.on_logit_scale(drawn, 1.0, degrees=20).low is None
