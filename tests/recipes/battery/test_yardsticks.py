"""Laws of the yard-sticks: exact where their assumption holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.recipes.battery import yardsticks
from homeostat.recipes.battery.track import whole


def straight(cell: str, rate: float, start: float = 1.0):
    time = np.array([0.0, 1, 4, 6, 10])
    return whole(cell, time, np.ones((5, 1)), start + rate * time)


def test_the_line_of_other_cells_is_exact_when_all_fade_alike():
    train = [straight("A", -0.02), straight("B", -0.02, 0.9)]
    unseen = straight("C", -0.02, 0.95)
    np.testing.assert_allclose(yardsticks.fade_of_others(unseen, train), unseen.target)


def test_a_cell_s_own_line_is_exact_on_a_straight_fade_and_reads_only_what_was_seen():
    track = straight("A", -0.03)
    target = track.target.copy()
    target[3:] = 99.0
    seen = replace(track, seen=np.arange(5) < 3)
    later_unknown = replace(seen, target=target)
    np.testing.assert_allclose(yardsticks.own_line(seen), track.target)
    np.testing.assert_allclose(yardsticks.own_line(later_unknown), track.target)


def test_the_carried_value_is_the_first_known_one():
    track = straight("A", -0.03)
    target = track.target.copy()
    target[0] = np.nan
    late = whole("A", track.time, track.inputs, target)
    assert set(yardsticks.carried(late)) == {track.target[1]}


def test_a_cell_that_was_never_measured_cannot_be_scored():
    track = straight("A", -0.03)
    blank = whole("A", track.time, track.inputs, np.full(5, np.nan))
    with pytest.raises(DataError, match="Cell A has no step with a known target"):
        yardsticks.carried(blank)


def test_trees_reproduce_a_step_of_their_input():
    draw = np.random.default_rng(0)
    x = draw.uniform(0, 1, (200, 1))
    step = whole("A", np.arange(200.0), x, np.where(x[:, 0] > 0.5, 0.9, 0.7))
    output = yardsticks.trees_on_inputs([step], [step], seed=0)[0]
    assert np.abs(output - step.target).max() < 0.02
