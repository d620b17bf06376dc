"""Choose the probability from which on the answer is yes: on validation by a named rule, never on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from homeostat.errors import DataError
from homeostat.evaluate.bootstrap import Floats
from homeostat.evaluate.predictions import Predictions
from homeostat.evaluate.score import too_few


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A rule: the answer is yes when the probability is at least `value`."""

    value: float
    rule: str
    fitted_on: str
    """The split; "given" when nobody fitted it."""
    n: int = 0
    events: int = 0

    def __call__(self, output: Floats) -> Floats:
        return (output >= self.value).astype(np.float64)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Threshold:
        return cls(**values)

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.rule if self.rule == self.fitted_on else f'{self.rule}, {self.fitted_on}'})"


GIVEN = Threshold(value=0.5, rule="given", fitted_on="given")


def youden(p: Predictions) -> Threshold:
    """Choose the threshold of the largest sensitivity + specificity - 1 (Youden 1950, Cancer 3:32)."""
    cuts, sensitivity, specificity = operating_points(_fit_sample(p))
    # The first of equal maxima is the highest cut: fewest people are called.
    value = float(cuts[np.argmax(sensitivity + specificity)])
    return Threshold(value=value, rule="Youden", fitted_on=p.split, n=len(p), events=int(p.truth.sum()))


def operating_points(p: Predictions) -> tuple[Floats, Floats, Floats]:
    """Return every threshold that makes a difference, from "nobody" down to "everybody".

    The three arrays are the cuts, the sensitivity and the specificity at each.
    """
    order = np.argsort(-p.output, kind="stable")
    output, truth = p.output[order], p.truth[order]
    last_of_tie = np.append(np.diff(output) != 0, True)
    sensitivity = np.cumsum(truth)[last_of_tie] / truth.sum()
    false_alarms = np.cumsum(1 - truth)[last_of_tie] / (1 - truth).sum()
    # The next number above the largest output calls nobody.
    nobody = np.nextafter(output[0], np.inf)
    cuts = np.append(nobody, output[last_of_tie])
    return cuts, np.append(0.0, sensitivity), np.append(1.0, 1 - false_alarms)


def refuse_test(p: Predictions, what: str) -> None:
    if p.split == "test":
        raise DataError(
            f"A {what} must not be fitted on test predictions: the score would flatter itself. "
            "Fit it on validation (or out-of-fold) predictions."
        )


def _fit_sample(p: Predictions) -> Predictions:
    refuse_test(p, "threshold")
    positives = int(p.truth.sum())
    if reason := too_few(positives, len(p) - positives):
        raise DataError(f"No threshold can be chosen on {p.split}: {reason}. Use a given one, such as 0.5.")
    return p
