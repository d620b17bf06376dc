"""A calibrated model is called calibrated, an over-confident one over-confident, each as surely as n allows."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression

from homeostat.evaluate import calibration
from homeostat.evaluate.predictions import Predictions


def named(p, **settings):
    return {score.name: score for score in calibration.scores(p, **({"resamples": 400} | settings))}


def test_reliability_bins_hold_equal_shares_and_every_row_once(ward):
    p = ward(1000)
    bins = calibration.reliability(p, bins=10)
    assert [b.n for b in bins] == [100] * 10
    assert [b.output for b in bins] == sorted(b.output for b in bins)
    assert sum(b.rate * b.n for b in bins) == pytest.approx(p.truth.sum())
    assert all(b.low <= b.rate <= b.high for b in bins)


def test_tied_outputs_share_a_bin():
    p = Predictions.build(
        "binary", "test", ids=range(100), targets=np.tile([0, 1], 50), outputs=np.repeat([0.2, 0.7], 50)
    )
    assert [b.n for b in calibration.reliability(p)] == [50, 50]


def test_ece_equals_its_definition(ward):
    p = ward(1000)
    bins = calibration.reliability(p)
    expected = sum(b.n * abs(b.rate - b.output) for b in bins) / 1000
    assert named(p)["ece"].value == pytest.approx(expected)


def test_slope_and_intercept_equal_scikit_learns_logistic_regression(ward):
    p = ward(2000, sharpen=2.0)
    z = special.logit(np.clip(p.output, calibration.CLIP, 1 - calibration.CLIP))
    peer = LogisticRegression(C=np.inf, tol=1e-10).fit(z[:, None], p.truth)
    assert named(p)["calibration slope"].value == pytest.approx(peer.coef_[0, 0], rel=1e-4)


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 2.0])
def test_the_slope_undoes_what_was_done_to_the_logits(ward, sharpen):
    slope = named(ward(4000, sharpen=sharpen))["calibration slope"]
    assert slope.low < 1 / sharpen < slope.high
    assert slope.better == "neither"


def test_a_calibrated_model_may_have_no_error_and_a_sharpened_one_surely_has(ward):
    assert named(ward(2000))["ece"].low == 0.0
    assert named(ward(2000, sharpen=2.5))["ece"].low > 0.0


@pytest.mark.parametrize(("n", "sharpen"), [(500, 1.0), (500, 1.6), (2000, 1.2)])
def test_coverage_of_the_calibration_error(ward, n, sharpen):
    """The truth: |probability stated - probability of the event|, averaged over the bins of each sample."""
    random = np.random.default_rng(7)
    x = random.normal(size=100_000) * 1.5 - 1.5
    stated, true = special.expit(sharpen * x), special.expit(x)
    covered, seeds = 0, 250
    for seed in range(seeds):
        p = ward(n, seed=seed, sharpen=sharpen)
        edges = np.unique(np.quantile(p.output, np.linspace(0, 1, 11)[1:-1]))
        error = np.abs(
            np.bincount(np.searchsorted(edges, stated, side="right"), weights=true - stated)
        ).sum() / len(x)
        score = calibration.ece(p, resamples=300)
        covered += score.low <= error <= score.high
    assert 0.92 <= covered / seeds <= 0.985


def test_coverage_of_the_slope_when_rows_are_clustered(ward):
    covered, seeds = 0, 300
    for seed in range(seeds):
        p = ward(300, seed=seed)
        rows = np.repeat(np.arange(300), 3)
        q = Predictions.build(
            "binary", "test", ids=range(900), subjects=rows, targets=p.truth[rows], outputs=p.output[rows]
        )
        slope, _ = calibration.recalibration(q)
        covered += slope.low <= 1.0 <= slope.high
    assert 0.92 <= covered / seeds <= 0.98


def test_one_subject_alone_has_a_slope_without_an_interval(ward):
    p = ward(200)
    alone = replace(p, subjects=np.full(len(p), "A"))
    slope = next(s for s in calibration.scores(alone) if "slope" in s.name)
    assert slope.value is not None
    assert slope.low is None or not np.isfinite(slope.low)


def test_a_perfect_ranking_has_no_slope():
    truth = np.repeat([0.0, 1.0], 30)
    p = Predictions.build("binary", "test", ids=range(60), targets=truth, outputs=truth)
    slope = named(p)["calibration slope"]
    assert slope.value is None
    assert "separate the classes" in slope.note


def test_under_ten_positives_nothing_is_estimable(ward):
    p = ward(200)
    rows = np.concatenate([np.flatnonzero(p.truth == 0), np.flatnonzero(p.truth == 1)[:5]])
    assert all(score.value is None for score in calibration.scores(p.take(rows)))


def test_the_note_says_what_a_perfect_model_would_show(ward):
    assert "a perfectly calibrated model shows 0.0" in named(ward(500))["ece"].note
