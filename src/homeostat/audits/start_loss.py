"""Does training start from ignorance? The first loss is what the class prior, or the target's variance, implies."""

from __future__ import annotations

from typing import Any

import numpy as np

from homeostat.audits.base import Audit, Case, Finding
from homeostat.audits.batch import at_rest, some_rows

ROWS = 64
# An untrained last layer of usual size adds some hundredths; Kaiming's on one output adds 2.3 (0.69 becomes 3).
FACTOR, EXTRA = 1.5, 0.15


def _check(case: Case) -> Finding | None:
    assert case.model is not None
    assert case.batch is not None
    assert case.start is not None
    if isinstance(case.start, str):
        assert case.targets is not None, "a kind of loss says nothing without the targets"
        expected = implied(case.targets, case.start)
    else:
        expected = case.start
    rows = some_rows(case, ROWS)
    with at_rest(case.model):
        found = _loss(case, case.batch(rows))
    if np.isfinite(found) and found <= FACTOR * expected + EXTRA * max(expected, 0.1):
        return None
    return Finding(
        audit=start_loss.name,
        severity="serious",
        what=f"The loss starts at {found:.3g}; a model that knows only the prior has {expected:.3g}.",
        evidence={"found": found, "expected": expected},
        cause="The last layer is initialised for a hidden layer (Kaiming gives one output a spread of logits of "
        "about 8), "
        "inputs are not scaled, or the loss is a sum, is weighted, or counts masked entries.",
        advice="Scale the last layer's weights by 0.1 or to zero and set its bias to the logit of the prior or "
        "the mean.",
    )


def _loss(case: Case, batch: Any) -> float:
    assert case.model is not None
    assert case.loss is not None
    loss = case.loss(case.model, batch)
    return float(loss.terms[case.start_term] if case.start_term else loss.total)


def implied(targets: np.ndarray, kind: str) -> float:
    """The loss of a model that answers everybody with the prior, or with the mean."""
    if kind == "regression":
        return float(np.nanmean(np.nanvar(targets, axis=0)))
    if kind == "binary":
        rates = np.clip(np.nanmean(targets, axis=0), 1e-6, 1 - 1e-6)
        return float(np.mean(-rates * np.log(rates) - (1 - rates) * np.log(1 - rates)))
    _, counts = np.unique(targets[np.isfinite(targets)], return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


start_loss = Audit(
    name="start_loss",
    law="The loss at the start is what the prior implies.",
    needs=("model", "batch", "count", "loss", "start"),
    check=_check,
)
