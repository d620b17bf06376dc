"""A threshold does what its rule says on its own sample, names that sample, and is never fitted on test."""

import json

import numpy as np
import pytest

from homeostat.errors import DataError
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


def test_operating_points_are_what_their_cuts_do(ward):
    p = ward(200, split="valid")
    for value, sensitivity, specificity in zip(*threshold.operating_points(p), strict=True):
        cut = threshold.Threshold(value=value, rule="given", fitted_on="given")
        assert shares(p, cut) == pytest.approx((sensitivity, specificity))


def test_tied_outputs_are_on_the_same_side():
    p = Predictions.build(
        "binary", "valid", ids=range(40), targets=np.tile([0, 1], 20), outputs=np.repeat([0.2, 0.8], 20)
    )
    cuts, sensitivity, specificity = threshold.operating_points(p)
    assert len(cuts) == 3
    assert sensitivity.tolist() == [0, 0.5, 1]
    assert specificity.tolist() == [1, 0.5, 0]


def test_it_remembers_where_it_comes_from(ward):
    cut = threshold.youden(ward(500, split="valid"))
    assert (cut.rule, cut.fitted_on, cut.n) == ("Youden", "valid", 500)
    assert threshold.Threshold.from_dict(json.loads(json.dumps(cut.as_dict()))) == cut
    assert str(cut).endswith("(Youden, valid)")


def test_fitting_on_test_is_refused(ward):
    with pytest.raises(DataError, match="must not be fitted on test predictions"):
        threshold.youden(ward(500, split="test"))


def test_too_few_cases_are_refused(ward):
    p = ward(500, split="valid")
    with pytest.raises(DataError, match="No threshold can be chosen on valid: only 0 positives"):
        threshold.youden(p.take(p.truth == 0))
