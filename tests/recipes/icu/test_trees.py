"""Laws of the trees: days until death as Cox's likelihood wants them, and probabilities of death from its hazards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from homeostat.methods.ensemble import probability
from homeostat.methods.method import Lesson
from homeostat.recipes.icu import trees
from homeostat.recipes.icu.cohort import UNDATED_DEATH_D, dated
from homeostat.recipes.icu.config import smoke
from homeostat.recipes.icu.recipe import plan
from homeostat.recipes.icu.view import View


@pytest.fixture
def lesson(new_run, store, tmp_path) -> Lesson[View]:
    return plan(smoke(), new_run(tmp_path / "run", smoke()), store).children[0].lesson


def changed(view, **arrays):
    """The view with other values for its first four stays."""
    first = {name: np.r_[values, getattr(view.cohort, name)[4:]] for name, values in arrays.items()}
    return replace(view, cohort=replace(view.cohort, **first))


def test_who_was_alive_counts_until_the_end_and_who_died_until_then(lesson):
    view = changed(lesson.data, survival_d=[0.0, 12.0, 2600.0, np.inf], label=[1.0, 1.0, 0.0, 0.0])
    days = trees.targets("survival", view, view.cohort.ids[:4])
    assert days.tolist() == [trees.SHORTEST_D, 12.0, -trees.LONGEST_D, -trees.LONGEST_D]


@pytest.mark.parametrize("kind", ["xgboost", "survival"])
def test_an_unknown_outcome_is_no_target(lesson, kind):
    view = changed(lesson.data, survival_d=[np.nan, 12.0, 1.0, np.inf], label=[np.nan, 1.0, 1.0, 0.0])
    assert np.isnan(trees.targets(kind, view, view.cohort.ids[:4])).tolist() == [True, False, False, False]


def test_deaths_without_a_date_are_dated_and_unknown_outcomes_stay_unknown():
    survival = np.array([5.0, np.nan, np.inf, np.nan])
    days = dated(survival, np.array([1.0, 1.0, 0.0, np.nan]))
    assert days[:3].tolist() == [5.0, UNDATED_DEATH_D, np.inf]
    assert np.isnan(days[3])


@pytest.mark.parametrize("rate", [0.02, 0.14, 0.9])
def test_hazards_become_probabilities_of_the_right_mean(rate):
    hazard = np.random.default_rng(0).normal(3, 2, 500)
    assert probability(hazard + trees.offset(hazard, rate)).mean() == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize("kind", ["xgboost", "survival"])
def test_either_kind_ranks_deaths_and_is_the_same_from_its_run(kind, lesson, new_run, tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "ROUNDS", 20)
    view, method, run = lesson.data, trees.method(kind), new_run(tmp_path / "trees", smoke())
    answer = method.train(lesson, run).answer
    outputs = answer(view, lesson.splits.valid)
    died = view.cohort.label[view.rows(lesson.splits.valid)] == 1
    assert outputs[died].mean() > 1.15 * outputs[~died].mean()
    rate = view.cohort.label[view.rows(lesson.splits.train)].mean()
    assert answer(view, lesson.splits.train).mean() == pytest.approx(rate, abs=0.03)
    again = method.train(replace(lesson, seed=1), run)
    assert np.array_equal(again.answer(view, lesson.splits.valid), outputs)
    assert method.load is not None
    assert np.array_equal(method.load(run).answer(view, lesson.splits.valid), outputs)
