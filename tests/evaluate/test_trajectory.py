"""Curves come back whole and in order of time, and an error that grows is seen to grow."""

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.evaluate import regression, trajectory
from homeostat.evaluate.predictions import Predictions


def test_curves_are_sorted_by_time_and_complete(cells):
    p = cells(5)
    shuffled = p.take(np.random.default_rng(0).permutation(len(p)))
    for a, b in zip(trajectory.curves(p), trajectory.curves(shuffled), strict=True):
        assert a.subject == b.subject
        np.testing.assert_array_equal(a.time, b.time)
        np.testing.assert_array_equal(a.output, b.output)
        assert (np.diff(a.time) > 0).all()
    assert sum(len(curve.time) for curve in trajectory.curves(p)) == len(p)


def test_the_rmse_of_a_curve_is_that_of_the_table(cells):
    p = cells(5)
    table = {row.subject: row.rmse for row in regression.per_subject(p)}
    for curve in trajectory.curves(p):
        assert curve.rmse == pytest.approx(table[curve.subject])


def test_an_error_that_grows_with_time_is_seen_to_grow(cells):
    scores = trajectory.along(cells(40, off=0.05), parts=4, resamples=100)
    assert [score.name for score in scores][0] == "rmse at 0-25 % of the span"
    values = [score.value for score in scores]
    assert values == sorted(values)
    assert sum(score.n for score in scores) == 40 * 40


def test_the_last_point_of_each_subject(cells):
    p = cells(10)
    score = trajectory.at_end(p, resamples=100)
    last = p.time == 100
    assert (score.n, score.subjects) == (10, 10)
    assert score.value == pytest.approx(np.sqrt(np.mean((p.output - p.truth)[last] ** 2)))


def test_predictions_without_time_are_no_trajectories():
    p = Predictions.build("regression", "test", ids=[1], targets=[1.0], outputs=[1.0])
    with pytest.raises(DataError, match="have no time column"):
        trajectory.curves(p)
