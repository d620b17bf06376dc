"""Is every term of the loss at work on real batches? One that is identically zero was not switched on."""

from __future__ import annotations

import numpy as np

from homeostat.audits.base import Audit, Case, Finding
from homeostat.audits.batch import at_rest

BATCHES, ROWS = 3, 8


def _check(case: Case) -> Finding | None:
    assert case.model is not None
    assert case.batch is not None
    assert case.loss is not None
    lived: dict[str, bool] = {}
    with at_rest(case.model):
        for start in range(min(BATCHES, max(case.count // ROWS, 1))):
            rows = np.arange(start * ROWS, min((start + 1) * ROWS, case.count))
            for name, value in case.loss(case.model, case.batch(rows)).terms.items():
                lived[name] = lived.get(name, False) or float(value) != 0
    dead = [name for name, has_lived in lived.items() if not has_lived]
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


zero_terms = Audit(
    name="zero_terms",
    law="No term of the loss is identically zero.",
    needs=("model", "batch", "count", "loss"),
    check=_check,
)
