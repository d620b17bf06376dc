"""Mend miscalibrated probabilities by a temperature or a shift of the prior; each names the sample it was fitted on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import special

from homeostat.errors import DataError
from homeostat.evaluate.bootstrap import Floats
from homeostat.evaluate.calibration import CLIP
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import too_few
from homeostat.evaluate.threshold import refuse_test


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """A divisor of the logit, above 1 for an over-confident model (Guo et al. 2017, ICML). It keeps every ranking."""

    kind: ClassVar[str] = "temperature"
    value: float
    fitted_on: str
    n: int

    def __call__(self, output: Floats) -> Floats:
        return _expit(_logit(output) / self.value)


@dataclass(frozen=True, kw_only=True)
class PriorShift:
    """A shift of the logit from the prevalence seen in training, after any re-sampling, to the expected one.

    It is the formula of Saerens, Latinne and Decaestecker 2002 (Neural Computation 14:21) for two classes.
    """

    trained: float
    expected: float
    fitted_on: str

    def __call__(self, output: Floats) -> Floats:
        shift = _logit(np.array([self.expected])) - _logit(np.array([self.trained]))
        return _expit(_logit(output) + shift)


def temperature(p: Predictions) -> Temperature:
    """Fit the temperature of smallest log loss; the ECE would be no target, because it is not smooth in it."""
    from scipy import optimize  # slow to load, and most commands need none

    z, truth = _logit(_sample(p).output), p.truth

    def loss(log_temperature: float) -> float:
        # On the logarithm: a divisor of 2 is as far from 1 as one of a half.
        scaled = z / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, scaled) - truth * scaled))

    # Twenty-fold either way. Beyond, the logits say nothing, or the outputs are certain, and neither is a matter of
    # scale.
    minimum = optimize.minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return Temperature(value=float(np.exp(minimum.x)), fitted_on=p.split, n=len(p))


def as_dict(calibrator: Temperature) -> dict[str, Any]:
    return {"kind": calibrator.kind} | asdict(calibrator)


def _sample(p: Predictions) -> Predictions:
    refuse_test(p, "calibrator")
    positives = int(p.truth.sum())
    if reason := too_few(positives, len(p) - positives):
        raise DataError(f"No calibrator can be fitted on {p.split}: {reason}.")
    return p


def _logit(output: Floats) -> Floats:
    return np.asarray(special.logit(np.clip(output, CLIP, 1 - CLIP)), np.float64)


def _expit(z: Floats) -> Floats:
    return np.asarray(special.expit(z), np.float64)
