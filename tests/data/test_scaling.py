"""Laws of scalers: training values become mean 0 and deviation 1, and nothing else enters."""

import json

import numpy as np
import pytest

from homeostat.data.scaling import Scaler, digest_ids
from homeostat.errors import DataError

NAMES = ("pulse", "lactate")
IDS = ("a", "b", "c")


def fit(values, **more):
    return Scaler.fit(np.asarray(values), names=NAMES, ids=IDS, **more)


def test_training_values_become_standard():
    values = np.random.default_rng(0).normal([80, 2], [10, 0.5], (3, 50, 2)).astype(np.float32)
    scaler = fit(values)
    scaled = scaler.transform(values)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.std((0, 1)), 1, atol=1e-5)


def test_what_is_missing_or_padded_does_not_count():
    values = np.array([[1.0, 5.0], [3.0, np.nan], [1e9, 7.0]])
    mask = np.array([[True, True], [True, False], [False, True]])
    scaler = fit(values, mask=mask)
    assert scaler.shift == (2, 6)
    assert scaler.scale == (1, 1)
    assert fit(values[:2]).shift == (2, 5)


def test_a_constant_is_not_blown_up():
    assert fit([[0.1, 1], [0.1, 2], [0.1, 3]]).scale[0] == 1


def test_a_variable_without_values_is_named():
    with pytest.raises(DataError, match="lactate has no value among the 3 train ids"):
        fit([[1.0, np.nan]])


def test_it_knows_on_whom_it_was_fitted():
    scaler = fit([[1.0, 2.0], [2.0, 3.0]])
    assert (scaler.fitted_on, scaler.ids) == ("train", 3)
    assert scaler.ids_digest == digest_ids(["c", "a", "b"])
    assert scaler.ids_digest != digest_ids(["a", "b"])


def test_plain_values_give_back_the_scaler():
    scaler = fit([[1.0, 2.0], [2.0, 3.0]])
    assert Scaler.from_dict(json.loads(json.dumps(scaler.to_dict()))) == scaler


def test_other_ids_than_those_of_the_fit_are_refused():
    scaler = fit([[1.0, 2.0], [2.0, 3.0]])
    assert scaler.check_ids(["c", "b", "a"]) is scaler
    with pytest.raises(DataError, match="fitted on 3 train ids, not on the 2 given ones"):
        scaler.check_ids(["a", "b"])
