"""How is a miscalibrated probability mended? Temperature, isotonic steps, prior shift; each names its sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy import special

from homeostat.errors import ConfigError, DataError
from homeostat.evaluate.bootstrap import Floats
from homeostat.evaluate.calibration import CLIP
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import too_few
from homeostat.evaluate.threshold import refuse_test


@dataclass(frozen=True, kw_only=True)
class Temperature:
    """Divides the logit: above 1 for an over-confident model. Keeps every ranking as it is."""

    kind: ClassVar[str] = "temperature"
    value: float
    fitted_on: str
    n: int

    def __call__(self, output: Floats) -> Floats:
        return _expit(_logit(output) / self.value)


@dataclass(frozen=True, kw_only=True)
class Isotonic:
    """A rising step function, interpolated. Needs some thousand rows; makes ties."""

    kind: ClassVar[str] = "isotonic"
    output: tuple[float, ...]
    rate: tuple[float, ...]
    fitted_on: str
    n: int

    def __call__(self, output: Floats) -> Floats:
        return np.asarray(np.interp(output, self.output, self.rate), np.float64)


@dataclass(frozen=True, kw_only=True)
class PriorShift:
    """Moves the logit from the prevalence seen in training (after any re-sampling) to the expected one."""

    kind: ClassVar[str] = "prior shift"
    trained: float
    expected: float
    fitted_on: str
    n: int = 0

    def __call__(self, output: Floats) -> Floats:
        shift = _logit(np.array([self.expected])) - _logit(np.array([self.trained]))
        return _expit(_logit(output) + shift)


Calibrator = Temperature | Isotonic | PriorShift
KINDS: Mapping[str, Callable[..., Calibrator]] = {
    Temperature.kind: Temperature,
    Isotonic.kind: Isotonic,
    PriorShift.kind: PriorShift,
}


def temperature(p: Predictions) -> Temperature:
    """The temperature of smallest log loss (not of smallest ECE, which is not smooth in it)."""
    from scipy import optimize  # slow to load, and most commands need none

    z, truth = _logit(_sample(p).output), p.truth

    def loss(log_temperature: float) -> float:
        scaled = z / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0.0, scaled) - truth * scaled))

    found = optimize.minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return Temperature(value=float(np.exp(found.x)), fitted_on=p.split, n=len(p))


def isotonic(p: Predictions) -> Isotonic:
    from sklearn.isotonic import IsotonicRegression  # slow to load, and most commands need none

    model = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(_sample(p).output, p.truth)
    x, y = (tuple(float(v) for v in values) for values in (model.X_thresholds_, model.y_thresholds_))
    return Isotonic(output=x, rate=y, fitted_on=p.split, n=len(p))


def prior_shift(p: Predictions, *, trained: float) -> PriorShift:
    """From the effective prior of training to the prevalence of p's split."""
    if not 0 < trained < 1:
        raise ConfigError(f"A prior lies strictly between 0 and 1, got {trained:g}.")
    expected = float(_sample(p).truth.mean())
    return PriorShift(trained=trained, expected=expected, fitted_on=p.split, n=len(p))


def apply(p: Predictions, calibrator: Calibrator) -> Predictions:
    """The same predictions with mended outputs; the model's name says so."""
    return replace(p, outputs=calibrator(p.outputs), model=f"{p.model} + {calibrator.kind}")


def as_dict(calibrator: Calibrator) -> dict[str, Any]:
    return {"kind": calibrator.kind} | asdict(calibrator)


def from_dict(values: Mapping[str, Any]) -> Calibrator:
    kind = str(values.get("kind"))
    if kind not in KINDS:
        raise DataError(f"Calibrator kind {kind!r} is unknown. Known: {', '.join(KINDS)}.")
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k != "kind"}
    return KINDS[kind](**plain)


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
