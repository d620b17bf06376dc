"""A calibrator mends what was broken, keeps the ranking, names its sample, and never comes from test."""

import json

import numpy as np
import pytest

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate import recalibrate, weighted
from homeostat.evaluate.predictions import Predictions


@pytest.mark.parametrize("sharpen", [0.5, 1.0, 3.0])
def test_temperature_finds_what_was_done_to_the_logits(ward, sharpen):
    fitted = recalibrate.temperature(ward(8000, split="valid", sharpen=sharpen))
    assert fitted.value == pytest.approx(sharpen, rel=0.08)


@pytest.mark.parametrize("fit", [recalibrate.temperature, recalibrate.isotonic])
def test_mending_lowers_the_log_loss_on_fresh_patients_and_keeps_the_ranking(ward, fit):
    valid, test = ward(4000, split="valid", sharpen=3.0), ward(4000, seed=1, sharpen=3.0)
    mended = recalibrate.apply(test, fit(valid))

    def score(kind, p):
        return weighted.value(kind(p.truth, p.output), len(p))

    assert score(weighted.log_loss, mended) < 0.9 * score(weighted.log_loss, test)
    assert score(weighted.auroc, mended) == pytest.approx(score(weighted.auroc, test), abs=0.003)
    assert (np.diff(mended.output[np.argsort(test.output)]) >= 0).all()


def test_temperature_keeps_the_auroc_exactly(ward):
    test = ward(500, seed=1)
    mended = recalibrate.apply(test, recalibrate.Temperature(value=2.0, fitted_on="valid", n=1))
    scores = [weighted.value(weighted.auroc(p.truth, p.output), 500) for p in (test, mended)]
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
    mended = recalibrate.apply(trained_balanced, recalibrate.prior_shift(trained_balanced, trained=0.5))
    np.testing.assert_allclose(mended.output, everybody.output, atol=1e-6)


def test_each_calibrator_survives_json_with_its_provenance(ward):
    valid = ward(500, split="valid")
    for fitted in (
        recalibrate.temperature(valid),
        recalibrate.isotonic(valid),
        recalibrate.prior_shift(valid, trained=0.5),
    ):
        assert (fitted.fitted_on, fitted.n) == ("valid", 500)
        assert recalibrate.from_dict(json.loads(json.dumps(recalibrate.as_dict(fitted)))) == fitted
    assert recalibrate.apply(valid, fitted).model == "model + prior shift"


def test_fitting_on_test_is_refused(ward):
    for fit in (recalibrate.temperature, recalibrate.isotonic):
        with pytest.raises(DataError, match="calibrator must not be fitted on test predictions"):
            fit(ward(500, split="test"))


def test_mistakes_are_told(ward):
    with pytest.raises(DataError, match="No calibrator can be fitted on valid: only 0 positives"):
        recalibrate.temperature(ward(100, split="valid").take(ward(100).truth == 0))
    with pytest.raises(ConfigError, match="strictly between 0 and 1"):
        recalibrate.prior_shift(ward(100, split="valid"), trained=1.0)
    with pytest.raises(DataError, match="Calibrator kind 'platt' is unknown. Known: temperature"):
        recalibrate.from_dict({"kind": "platt"})
