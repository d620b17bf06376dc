"""A calibrator mends what was broken, keeps the ranking, names its sample, and never comes from test."""

import json

import numpy as np
import pytest

from homeostat.errors import DataError
from homeostat.evaluate import recalibrate, weighted
from homeostat.evaluate.predictions import Predictions


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 3.0])
def test_temperature_finds_what_was_done_to_the_logits(ward, sharpen):
    fitted = recalibrate.temperature(ward(8000, split="valid", sharpen=sharpen))
    assert fitted.value == pytest.approx(sharpen, rel=0.08)


def test_a_temperature_lowers_the_log_loss_on_fresh_patients_and_keeps_the_ranking(ward):
    valid, test = ward(4000, split="valid", sharpen=3.0), ward(4000, seed=1, sharpen=3.0)
    mended = recalibrate.temperature(valid)(test.output)

    def score(kind, output):
        return weighted.value(kind(test.truth, output), len(test))

    assert score(weighted.log_loss, mended) < 0.9 * score(weighted.log_loss, test.output)
    assert score(weighted.auroc, mended) == pytest.approx(score(weighted.auroc, test.output), abs=0.003)
    assert (np.diff(mended[np.argsort(test.output)]) >= 0).all()


def test_temperature_keeps_the_auroc_exactly(ward):
    test = ward(500, seed=1)
    mended = recalibrate.Temperature(value=2.0, fitted_on="valid", n=1)(test.output)
    scores = [weighted.value(weighted.auroc(test.truth, output), 500) for output in (test.output, mended)]
    assert scores[0] == scores[1]


def test_a_prior_shift_restores_the_prevalence_after_balanced_sampling(ward):
    everybody = ward(60_000, split="valid")
    random = np.random.default_rng(0)
    prevalence = everybody.truth.mean()
    keep = (everybody.truth == 1) | (random.random(60_000) < prevalence / (1 - prevalence))
    odds = everybody.output / (1 - everybody.output) * (1 - prevalence) / prevalence
    trained_balanced = Predictions.build(
        "binary", "valid", ids=everybody.ids, targets=everybody.truth, outputs=odds / (1 + odds)
    )
    assert trained_balanced.take(keep).truth.mean() == pytest.approx(0.5, abs=0.01)
    shift = recalibrate.PriorShift(trained=0.5, expected=prevalence, fitted_on="valid")
    np.testing.assert_allclose(shift(trained_balanced.output), everybody.output, atol=1e-6)


def test_a_temperature_survives_json_with_its_provenance(ward):
    fitted = recalibrate.temperature(ward(500, split="valid"))
    plain = json.loads(json.dumps(recalibrate.as_dict(fitted)))
    assert plain == {"kind": "temperature", "value": fitted.value, "fitted_on": "valid", "n": 500}


def test_fitting_on_test_is_refused(ward):
    with pytest.raises(DataError, match="calibrator must not be fitted on test predictions"):
        recalibrate.temperature(ward(500, split="test"))


def test_too_few_cases_are_refused(ward):
    with pytest.raises(DataError, match="No calibrator can be fitted on valid: only 0 positives"):
        recalibrate.temperature(ward(100, split="valid").take(ward(100).truth == 0))
