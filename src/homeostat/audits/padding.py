"""Padding stays silent: more of it changes neither a prediction nor the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Trial

# Seven more steps move any pool or recurrence that reads them.
ROWS, MORE = 4, 7
# Sums of float32 over longer sequences differ by some 1e-6; padding that is read moves outputs by per cents.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Padding:
    """The padding of batches."""

    absent: ClassVar[str] = "no padded samples are at hand"

    lengthen: Callable[[Any, int], Any]
    """(batch, n) -> the same batch with n more steps of padding."""


@law("Appending padding changes nothing.")
def padding(trial: Trial, filler: Padding) -> Finding | None:
    rows = trial.rows(ROWS)
    batch = trial.batch(rows)
    longer = filler.lengthen(batch, MORE)
    with trial.at_rest():
        plain, after = trial.loss_of(batch, len(rows))[0], trial.loss_of(longer, len(rows))[0]
        apart = abs(after - plain) / max(abs(plain), 1e-6)
        what = f"{MORE} more steps of padding change the loss from {plain:.4g} to {after:.4g}."
        # The loss first: where outputs are one per step, it alone knows which of them count.
        if apart <= TOLERANCE and trial.predict is not None:
            first, second = trial.predict(trial.model, batch), trial.predict(trial.model, longer)
            if first.shape != second.shape:
                return None  # one output per step: the loss is the judge
            apart = float((first - second).abs().max() / first.abs().max().clamp(min=1e-6))
            what = f"{MORE} more steps of padding move predictions by {apart:.2g} of their size."
    if apart <= TOLERANCE:
        return None
    return Finding(
        audit=padding.name,
        severity="fatal",
        what=what,
        evidence={"relative difference": apart, "steps": MORE},
        cause="The padding is counted in the loss or the metrics, pooled over, or read before the data of a reversed "
        "sequence.",
        advice="Pass the mask to every pooling, recurrence and mean; divide by the number of valid entries.",
    )
