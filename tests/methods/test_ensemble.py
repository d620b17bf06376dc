"""Laws of the mean: of the same rows, of outputs or of logits, and once for a row that several splits predict."""

from __future__ import annotations

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.evaluate.predictions import Predictions
from homeostat.methods import ensemble


def answers(ids: str, *outputs: float) -> Predictions:
    targets = [float(ord(name) % 2) for name in ids]
    groups = {"ward": [name.upper() for name in ids]}
    return Predictions.build(
        "binary", "valid", ids=list(ids), targets=targets, outputs=outputs, groups=groups
    )


def test_a_row_of_several_splits_is_kept_once_with_the_mean_of_its_outputs() -> None:
    whole = ensemble.joined([answers("ba", 0.2, 0.4), answers("cb", 0.9, 0.6), answers("b", 0.7)])
    assert whole.ids.tolist() == ["b", "a", "c"], "in the order in which they were met"
    np.testing.assert_allclose(whole.output, [0.5, 0.4, 0.9])
    assert whole.truth.tolist() == [0.0, 1.0, 1.0]
    assert whole.groups["ward"].tolist() == ["B", "A", "C"]


def test_splits_without_a_common_row_are_put_one_after_the_other() -> None:
    whole = ensemble.joined([answers("b", 0.2), answers("a", 0.4)])
    assert (whole.ids.tolist(), whole.output.tolist()) == (["b", "a"], [0.2, 0.4])


def test_the_mean_is_of_outputs_or_of_logits() -> None:
    pair = [answers("ab", 0.5, 0.9), answers("ab", 0.5, 0.1)]
    np.testing.assert_allclose(ensemble.mean(pair).output, [0.5, 0.5])
    np.testing.assert_allclose(ensemble.mean(pair, "logits").output, [0.5, 0.5])
    apart = [answers("a", 0.99), answers("a", 0.5)]
    assert ensemble.mean(apart, "logits").output[0] > ensemble.mean(apart).output[0] > 0.7


def test_other_rows_have_no_mean() -> None:
    with pytest.raises(DataError, match="different rows"):
        ensemble.mean([answers("ab", 0.1, 0.2), answers("ba", 0.1, 0.2)])
