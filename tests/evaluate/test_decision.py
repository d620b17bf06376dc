"""Net benefit: the textbook formula, the two trivial policies, and a useful range only where it is sure."""

import numpy as np
import pytest
from scipy import special

from homeostat.evaluate import decision
from homeostat.evaluate.predictions import Predictions


def test_equals_the_formula_of_vickers_and_elkin(ward):
    p = ward(500)
    curve = decision.curve(p, np.array([0.1, 0.3]), resamples=50)
    for cut, benefit in zip(curve.threshold, curve.model, strict=True):
        called = p.output >= cut
        true, false = (called & (p.truth == 1)).sum(), (called & (p.truth == 0)).sum()
        assert benefit == pytest.approx(true / 500 - false / 500 * cut / (1 - cut))


def test_calling_everybody_has_the_net_benefit_of_treating_everybody(ward):
    p = ward(300)
    everybody = Predictions.build("binary", "test", ids=p.ids, targets=p.truth, outputs=np.ones(300))
    curve = decision.curve(everybody, resamples=50)
    np.testing.assert_allclose(curve.model, curve.everybody)


def test_a_perfect_model_is_worth_the_prevalence_at_every_threshold(ward):
    p = ward(300)
    perfect = Predictions.build("binary", "test", ids=p.ids, targets=p.truth, outputs=p.truth)
    np.testing.assert_allclose(decision.curve(perfect, resamples=50).model, p.truth.mean())


def test_a_calibrated_model_is_useful_and_noise_is_not(ward):
    assert decision.curve(ward(3000)).useful() is not None
    p = ward(3000)
    guess = special.expit(np.random.default_rng(12345).normal(size=3000) * 2)
    noise = Predictions.build("binary", "test", ids=p.ids, targets=p.truth, outputs=guess)
    assert decision.curve(noise).useful() is None


def test_the_band_holds_the_curve(ward):
    curve = decision.curve(ward(400))
    assert (curve.low <= curve.model).all()
    assert (curve.model <= curve.high).all()
