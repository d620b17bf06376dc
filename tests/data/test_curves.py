"""Laws of the normalising curves: monotone, fitted on training stays alone, blind to what they never saw."""

import json

import numpy as np
import pytest

from homeostat.data.curves import Curves, curve, is_skewed
from homeostat.errors import DataError


def fitted(values, variable, names=("HR", "Lactate")):
    return Curves.fit(np.asarray(values, np.float32), np.asarray(variable), names=names, ids=["1", "2"])


@pytest.mark.parametrize("shape", ["normal", "lognormal", "discrete", "nearly constant"])
def test_a_curve_never_falls_and_has_unit_size(shape):
    random = np.random.default_rng(0)
    values = {
        "normal": random.normal(80, 15, 5000),
        "lognormal": random.lognormal(0, 1, 5000),
        "discrete": random.integers(3, 16, 5000).astype(float),
        "nearly constant": np.where(random.random(5000) < 0.99, 15.0, random.integers(3, 15, 5000)),
    }[shape]
    knots, scores = curve(values)
    assert (np.diff(knots) > 0).all()
    assert (np.diff(scores) >= 0).all()
    scores_of_values = np.interp(values, knots, scores)
    assert abs(np.median(scores_of_values)) < 0.3
    assert 0.05 < scores_of_values.std() < 1.2


def test_what_is_skewed_is_seen_on_a_logarithm():
    random = np.random.default_rng(1)
    assert is_skewed(random.lognormal(0, 1, 2000))
    assert not is_skewed(random.normal(37, 1, 2000))
    assert not is_skewed(-random.lognormal(0, 1, 2000)), "what can be negative has no logarithm"


def test_an_outlier_is_kept_from_shouting():
    random = np.random.default_rng(2)
    values = random.normal(0, 1, 3000)
    curves = fitted(values, np.zeros(3000, int), names=("x",))
    assert curves.transform(np.array([1e9, -1e9], np.float32), np.array([0, 0])).tolist() == pytest.approx(
        [4.0, -4.0], abs=1.0
    )


def test_the_inverse_gives_the_value_back():
    random = np.random.default_rng(3)
    values = random.normal(80, 15, 3000)
    curves = fitted(values, np.zeros(3000, int))
    scores = curves.transform(np.array([60.0, 80.0, 100.0], np.float32), np.zeros(3, int))
    assert curves.inverse(scores, 0) == pytest.approx([60, 80, 100], rel=1e-3)


def test_a_variable_without_values_becomes_nothing_and_a_constant_one_too():
    curves = fitted([1.0, 1.0, 1.0], [0, 0, 0])
    assert (curves.transform(np.array([1, 5, 7], np.float32), np.array([0, 0, 1])) == 0).all()


def test_curves_are_the_same_after_they_were_written_down():
    random = np.random.default_rng(4)
    curves = fitted(random.normal(0, 1, 500), random.integers(0, 2, 500))
    assert Curves.from_dict(json.loads(json.dumps(curves.to_dict()))) == curves


def test_variables_are_found_by_name_and_strangers_are_marked():
    curves = fitted([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1])
    assert curves.order(["Lactate", "Foo", "HR"]).tolist() == [1, -1, 0]
    with pytest.raises(DataError, match=r"None of the data's variables \(pulse"):
        curves.order(["pulse"])
