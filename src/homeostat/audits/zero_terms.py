"""Every term of the loss is at work on real batches. One that is identically zero was not switched on."""

from __future__ import annotations

import numpy as np

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Trial

# A term of rare events may be zero on one small batch, hardly on three.
BATCHES, ROWS = 3, 8


@law("No term of the loss is identically zero.")
def zero_terms(trial: Trial) -> Finding | None:
    has_lived: dict[str, bool] = {}
    with trial.at_rest():
        for start in range(min(BATCHES, max(trial.count // ROWS, 1))):
            rows = np.arange(start * ROWS, min((start + 1) * ROWS, trial.count))
            for name, value in trial.loss(trial.model, trial.batch(rows)).terms.items():
                has_lived[name] = has_lived.get(name, False) or float(value) != 0
    dead = [name for name, lived in has_lived.items() if not lived]
    if not dead:
        return None
    return Finding(
        audit=zero_terms.name,
        severity="serious",
        what=f"Loss term {', '.join(dead)} is exactly 0 on {BATCHES} batches.",
        evidence={"terms": ", ".join(dead)},
        cause="Its weight is 0, or what it compares (views, masks, labels) is never made.",
        advice="Name it in the configuration as off, or make its inputs; a result without it is another experiment.",
    )
