"""The loss reaches every parameter. A part without gradient is not trained, whatever its name promises."""

from __future__ import annotations

import copy

import torch

from homeostat.audits.base import Finding, Severity, law
from homeostat.audits.given import Trial
from homeostat.task.randomness import seeded

ROWS = 16
# A head that waits for the next stage is usual; a quarter of the model is not.
UNUSED = 0.25


@law("The loss depends on every trainable parameter.")
def reach(trial: Trial) -> Finding | None:
    model = copy.deepcopy(trial.model)
    resting = tuple(trial.resting)
    named = {
        name: value
        for name, value in model.named_parameters()
        if value.requires_grad and not (resting and name.startswith(resting))
    }
    with seeded(0, "reach"), torch.enable_grad():
        total = trial.loss(model, trial.batch(trial.rows(ROWS))).total
        if not total.requires_grad:
            return _finding(
                "The loss has no gradient at all.",
                "fatal",
                {"parameters": len(named)},
                "argmax, .item() or no_grad in the loss",
            )
        total.backward()
    # None, not zero: a gradient that happens to be zero has arrived.
    dead = [name for name, value in named.items() if value.grad is None]
    if not dead:
        return None
    size = sum(named[name].numel() for name in dead) / max(sum(value.numel() for value in named.values()), 1)
    which = f"{len(dead)} of {len(named)} parameters ({size:.0%} of the numbers), first {dead[0]}"
    return _finding(
        f"The loss does not depend on {which}.",
        "serious" if size > UNUSED else "note",
        {"parameters": len(dead), "share": size},
        "a part that is built and never called",
    )


def _finding(what: str, severity: Severity, evidence: dict[str, float], cause: str) -> Finding:
    return Finding(
        audit=reach.name,
        severity=severity,
        what=what,
        evidence=dict(evidence),
        cause=f"Most often {cause}, a detach too many, a head whose loss term is off, or views that are not made.",
        advice="Remove the part, connect it, or freeze it openly; say in the ablation what it is.",
    )
