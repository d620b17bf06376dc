"""A threshold does what its rule says on its own sample, names that sample, and is never fitted on test."""

import json

import numpy as np
import pytest

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate import threshold
from homeostat.evaluate.predictions import Predictions


def shares(p, cut):
    called = cut(p.output) == 1
    return called[p.truth == 1].mean(), (~called)[p.truth == 0].mean()


def test_youden_is_the_best_of_all_thresholds(ward):
    p = ward(500, split="valid")
    best = sum(shares(p, threshold.youden(p)))
    for value in np.unique(p.output):
        other = threshold.Threshold(value=value, rule="given", fitted_on="given")
        assert sum(shares(p, other)) <= best + 1e-12


@pytest.mark.parametrize("at_least", [0.5, 0.9, 0.95, 1.0])
def test_a_fixed_sensitivity_is_reached_and_no_higher_threshold_reaches_it(ward, at_least):
    p = ward(500, split="valid")
    cut = threshold.sensitivity(p, at_least)
    assert shares(p, cut)[0] >= at_least
    higher = p.output[p.output > cut.value]
    if len(higher):
        next_one = threshold.Threshold(value=higher.min(), rule="given", fitted_on="given")
        assert shares(p, next_one)[0] < at_least or at_least == shares(p, next_one)[0] == shares(p, cut)[0]


@pytest.mark.parametrize("at_least", [0.5, 0.9, 1.0])
def test_a_fixed_specificity_is_reached(ward, at_least):
    p = ward(500, split="valid")
    assert shares(p, threshold.specificity(p, at_least))[1] >= at_least


def test_tied_outputs_are_on_the_same_side():
    p = Predictions.build(
        "binary", "valid", ids=range(40), targets=np.tile([0, 1], 20), outputs=np.repeat([0.2, 0.8], 20)
    )
    cuts, found, left_alone = threshold.operating_points(p)
    assert len(cuts) == 3
    assert found.tolist() == [0, 0.5, 1]
    assert left_alone.tolist() == [1, 0.5, 0]


def test_it_remembers_where_it_comes_from(ward):
    cut = threshold.youden(ward(500, split="valid"))
    assert (cut.rule, cut.fitted_on, cut.n) == ("Youden", "valid", 500)
    assert threshold.Threshold.from_dict(json.loads(json.dumps(cut.as_dict()))) == cut
    assert str(cut).endswith("(Youden, valid)")


def test_fitting_on_test_is_refused(ward):
    with pytest.raises(DataError, match="must not be fitted on test predictions"):
        threshold.youden(ward(500, split="test"))


def test_too_few_cases_or_an_impossible_share_are_refused(ward):
    p = ward(500, split="valid")
    with pytest.raises(DataError, match="No threshold can be chosen on valid: only 0 positives"):
        threshold.youden(p.take(p.truth == 0))
    with pytest.raises(ConfigError, match="must lie in"):
        threshold.sensitivity(p, 1.5)
