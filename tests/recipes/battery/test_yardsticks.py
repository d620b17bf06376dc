"""Laws of the yard-sticks: exact where their assumption holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homeostat.data.splits import Splits
from homeostat.errors import DataError
from homeostat.methods.method import Lesson
from homeostat.recipes.battery import yardsticks
from homeostat.recipes.battery.inputs import Cells
from homeostat.recipes.battery.track import whole
from homeostat.recipes.battery.view import View
from homeostat.run import create, open_run


def straight(cell: str, rate: float, start: float = 1.0):
    time = np.array([0.0, 1, 4, 6, 10])
    return whole(cell, time, np.ones((5, 1)), start + rate * time)


def test_the_line_of_other_cells_is_exact_when_all_fade_alike():
    train = [straight("A", -0.02), straight("B", -0.02, 0.9)]
    unseen = straight("C", -0.02, 0.95)
    np.testing.assert_allclose(yardsticks.fade_of_others(train)(unseen), unseen.target)


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


@pytest.mark.parametrize("base", [0.0, 0.5])
def test_trees_reproduce_a_step_of_their_input_from_any_base(base, tmp_path):
    draw = np.random.default_rng(0)
    x = draw.uniform(0, 1, (200, 1))
    step = whole("A", np.arange(200.0), x, base + np.where(x[:, 0] > 0.5, 0.9, 0.7))
    lesson = lesson_of(replace(step, base=base))
    trees = yardsticks.trees(lambda tracks: tracks, lambda track: track.inputs)
    trained = trees.train(lesson, create(tmp_path / "run", {}))
    assert np.abs(trained.answer(lesson.data, ["A"])[:, 0] - step.target).max() < 0.02
    loaded = trees.load(open_run(tmp_path / "run"))
    np.testing.assert_array_equal(loaded.answer(lesson.data, ["A"]), trained.answer(lesson.data, ["A"]))


def test_trees_learn_nothing_from_a_step_that_is_not_scored(tmp_path):
    step = straight("A", -0.03)
    spoiled = np.where(np.arange(5) == 2, 99.0, step.target)
    hidden = replace(step, scored=np.arange(5) != 2)
    trees = yardsticks.trees(lambda tracks: tracks, lambda track: track.time[:, None])
    answers = []
    for number, target in enumerate((step.target, spoiled)):
        lesson = lesson_of(replace(hidden, target=target))
        trained = trees.train(lesson, create(tmp_path / str(number), {}))
        answers.append(trained.answer(lesson.data, ["A"]))
    np.testing.assert_array_equal(*answers)


def lesson_of(track):
    """A lesson of one cell."""
    cells = Cells(tracks=(track,), names=("x",), target="soh", unit="days", groups=(track.cell,))
    view = View(cells=cells, draw=lambda one, _: one, columns={"soh": lambda one: one}, reach=5)
    splits = Splits(train=(track.cell,), valid=(), test=(), by="cell", fingerprint="")
    return Lesson(data=view, splits=splits, seed=0)
