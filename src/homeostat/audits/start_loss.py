"""Training starts from ignorance: the first loss is what the class prior, or the target's variance, implies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Trial

ROWS = 64
# An untrained last layer of usual size adds some hundredths; Kaiming's on one output adds 2.3 (0.69 becomes 3).
FACTOR, EXTRA = 1.5, 0.15


@dataclass(frozen=True, kw_only=True)
class Prior:
    """A model that knows only the prior."""

    absent: ClassVar[str] = "the loss that the prior implies is not at hand"

    loss: float
    term: str = ""
    """The term of the loss that `loss` speaks of; empty for the total."""


def implied(targets: NDArray[np.float64], kind: Literal["binary", "classes", "regression"]) -> float:
    """Return the loss of a model that answers everybody with the prior, or with the mean.

    `targets` are (n, k), NaN where unknown; class numbers (n, 1) for classes.
    """
    if kind == "regression":
        # The squared error of the mean is the variance, that of each target by itself.
        return float(np.nanmean(np.nanvar(targets, axis=0)))
    if kind == "binary":
        rates = np.clip(np.nanmean(targets, axis=0), 1e-6, 1 - 1e-6)
        return float(np.mean(-rates * np.log(rates) - (1 - rates) * np.log(1 - rates)))
    _, counts = np.unique(targets[np.isfinite(targets)], return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


@law("The loss at the start is what the prior implies.")
def start_loss(trial: Trial, prior: Prior) -> Finding | None:
    with trial.at_rest():
        loss = trial.loss(trial.model, trial.batch(trial.rows(ROWS)))
    start = float(loss.terms[prior.term] if prior.term else loss.total)
    # Both a factor and a sum: near a loss of zero a factor alone would accuse rounding.
    if np.isfinite(start) and start <= FACTOR * prior.loss + EXTRA * max(prior.loss, 0.1):
        return None
    return Finding(
        audit=start_loss.name,
        severity="serious",
        what=f"The loss starts at {start:.3g}; a model that knows only the prior has {prior.loss:.3g}.",
        evidence={"found": start, "expected": prior.loss},
        cause="The last layer is initialised for a hidden layer (Kaiming gives one output a spread of logits of "
        "about 8), inputs are not scaled, or the loss is a sum, is weighted, or counts masked entries.",
        advice="Scale the last layer's weights by 0.1 or to zero and set its bias to the logit of the prior or "
        "the mean.",
    )
