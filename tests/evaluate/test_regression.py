"""Numeric errors: equal to scikit-learn's, per subject where a subject has many rows, with honest intervals."""

import numpy as np
import pytest
from sklearn import metrics

from homeostat.evaluate import regression
from homeostat.evaluate.predictions import Predictions


def named(scores):
    return {score.name: score for score in scores}


def test_equals_scikit_learn(cells):
    p = cells()
    scores = named(regression.scores(p, resamples=200))
    theirs = {
        "rmse": metrics.root_mean_squared_error(p.truth, p.output),
        "mae": metrics.mean_absolute_error(p.truth, p.output),
        "mape": 100 * metrics.mean_absolute_percentage_error(p.truth, p.output),
        "r2": metrics.r2_score(p.truth, p.output),
    }
    for name, value in theirs.items():
        assert scores[name].value == pytest.approx(value, rel=1e-9)
        assert scores[name].low <= value <= scores[name].high
    assert scores["mape"].unit == "%"


def test_per_subject_scores_count_every_subject_once():
    p = Predictions.build(
        "regression",
        "test",
        ids=range(101),
        subjects=["long"] * 100 + ["short"],
        targets=np.zeros(101) + 1,
        outputs=[1.1] * 100 + [1.5],
    )
    scores = named(regression.scores(p, resamples=50))
    assert scores["rmse per subject"].value == pytest.approx(0.3)
    assert scores["rmse"].value < 0.12
    assert [row.subject for row in regression.per_subject(p)] == ["short", "long"]


def test_a_perfect_prediction(cells):
    p = cells(off=0.0)
    scores = named(regression.scores(p, resamples=50))
    assert scores["rmse"].value == scores["rmse"].high == 0.0
    assert scores["r2"].value == 1.0


def test_a_constant_prediction_scores_what_the_trivial_predictor_scores(cells):
    p = cells()
    constant = Predictions.build(
        "regression",
        "test",
        ids=p.ids,
        subjects=p.subjects,
        targets=p.truth,
        outputs=np.full(len(p), p.truth.mean()),
    )
    scores = named(regression.scores(constant, resamples=50))
    for name in ("rmse", "r2", "mean error", "rmse per subject"):
        assert scores[name].value == pytest.approx(scores[name].trivial, abs=1e-12)
    assert scores["mae"].trivial <= scores["mae"].value


def test_a_relative_error_of_a_zero_truth_is_undefined_not_infinite():
    p = Predictions.build(
        "regression", "test", ids=range(30), targets=np.arange(30), outputs=np.arange(30) + 1
    )
    score = named(regression.scores(p, resamples=50))["mape"]
    assert score.value is None
    assert "truth of zero" in score.note


def test_few_subjects_are_called_rough(cells):
    assert (
        named(regression.scores(cells(3), resamples=100))["rmse"].note
        == "only 3 subjects: the interval is rough"
    )


def test_one_row_is_not_estimable():
    p = Predictions.build("regression", "test", ids=[1, 2], targets=[1.0, np.nan], outputs=[1.0, 1.0])
    assert all(score.value is None for score in regression.scores(p))


def test_coverage_with_cells_that_drift(cells):
    """The error is common to all points of a cell, so that rows are far from independent."""
    seeds = 300
    everybody = named(regression.scores(cells(4000, seed=10_000), resamples=2))["rmse per subject"].value
    covered = 0
    for seed in range(seeds):
        score = named(regression.scores(cells(40, seed=seed), resamples=400))["rmse per subject"]
        covered += score.low <= everybody <= score.high
    assert 0.93 <= covered / seeds <= 0.97
