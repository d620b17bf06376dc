"""Does the loss reach every parameter? A part without gradient is not trained, whatever its name promises."""

from __future__ import annotations

import copy

import torch

from homeostat.audits.base import Audit, Case, Finding
from homeostat.audits.batch import CPU, some_rows
from homeostat.task.randomness import borrowed, reseed

ROWS = 16
# A head that waits for the next stage is usual; a quarter of the model is not.
UNUSED = 0.25


def _check(case: Case) -> Finding | None:
    assert case.model is not None
    assert case.batch is not None
    assert case.loss is not None
    model = copy.deepcopy(case.model)
    resting = tuple(case.resting)
    named = {
        name: value
        for name, value in model.named_parameters()
        if value.requires_grad and not (resting and name.startswith(resting))
    }
    with borrowed(CPU), torch.enable_grad():
        reseed(CPU, 0, "reach")
        total = case.loss(model, case.batch(some_rows(case, ROWS))).total
        if not total.requires_grad:
            return _finding(
                "The loss has no gradient at all.",
                "fatal",
                {"parameters": len(named)},
                "argmax, .item() or no_grad in the loss",
            )
        total.backward()
    dead = [name for name, value in named.items() if value.grad is None]
    if not dead:
        return None
    size = sum(named[name].numel() for name in dead) / max(sum(value.numel() for value in named.values()), 1)
    which = f"{len(dead)} of {len(named)} parameters ({size:.0%} of the numbers), first {dead[0]}"
    what = f"The loss does not depend on {which}."
    severity = "serious" if size > UNUSED else "note"
    return _finding(
        what, severity, {"parameters": len(dead), "share": size}, "a part that is built and never called"
    )


def _finding(what: str, severity: str, evidence: dict[str, float], cause: str) -> Finding:
    return Finding(
        audit=reach.name,
        severity="fatal" if severity == "fatal" else "serious" if severity == "serious" else "note",
        what=what,
        evidence=dict(evidence),
        cause=f"Most often {cause}, a detach too many, a head whose loss term is off, or views that are not made.",
        advice="Remove the part, connect it, or freeze it openly; say in the ablation what it is.",
    )


reach = Audit(
    name="reach",
    law="The loss depends on every trainable parameter.",
    needs=("model", "batch", "count", "loss"),
    check=_check,
)
