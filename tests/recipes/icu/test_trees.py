"""Laws of the trees: days until death as Cox's likelihood wants them, and probabilities of death from its hazards."""

from dataclasses import replace

import numpy as np
import pytest

from homeostat.recipes.icu import trees
from homeostat.recipes.icu.cohort import UNDATED_DEATH_D, dated


def test_who_was_alive_counts_until_the_end_and_who_died_until_then(stays):
    days = np.array([0.0, 12.0, 2600.0, np.inf])
    told = trees.targets("survival", replace(stays, survival_d=days), np.arange(4))
    assert told.tolist() == [trees.SHORTEST_D, 12.0, -trees.LONGEST_D, -trees.LONGEST_D]


def test_deaths_without_a_date_are_dated_and_unknown_outcomes_stay_unknown():
    survival = np.array([5.0, np.nan, np.inf, np.nan])
    told = dated(survival, np.array([1.0, 1.0, 0.0, np.nan]))
    assert told[:3].tolist() == [5.0, UNDATED_DEATH_D, np.inf]
    assert np.isnan(told[3])


@pytest.mark.parametrize("rate", [0.02, 0.14, 0.9])
def test_hazards_become_probabilities_of_the_right_mean(rate):
    hazard = np.random.default_rng(0).normal(3, 2, 500)
    assert trees.sigmoid(hazard + trees.offset(hazard, rate)).mean() == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize("kind", ["xgboost", "survival"])
def test_either_kind_ranks_deaths_and_is_the_same_from_its_file(kind, stays, tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "ROUNDS", 20)
    learnt, asked = np.arange(160), np.arange(160, 240)
    grown = trees.grow(kind, stays, learnt, 0, tmp_path / "trees.json")
    told = trees.probabilities(grown, stays, asked)
    died = stays.label[asked] == 1
    assert told[died].mean() > 1.15 * told[~died].mean()
    assert trees.probabilities(grown, stays, learnt).mean() == pytest.approx(
        stays.label[learnt].mean(), abs=0.03
    )
    again = trees.grow(kind, stays, learnt, 1, tmp_path / "trees.json")
    assert np.array_equal(trees.probabilities(again, stays, asked), told)
