"""Does a constraint reward what it is for? Perfect costs less than violated, and closing a gate must not pay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from homeostat.audits.base import Audit, Case, Constraint, Finding

# A violation must be felt: it raises the penalty by at least a half. (A softplus that is nearly flat raised it by 9 %.)
FELT = 1.5
CLOSED = 0.1


def _check(case: Case) -> Finding | None:
    findings = (_contrast(each) or _gates(each) for each in case.constraints)
    return next((finding for finding in findings if finding is not None), None)


def _contrast(each: Constraint) -> Finding | None:
    perfect, violated = _value(each, each.perfect), _value(each, each.violated)
    if violated > FELT * perfect and violated > perfect + 1e-6:
        return None
    return _finding(
        f"{each.name} costs {perfect:.3g} when nothing is violated and {violated:.3g} when it is: it does not push.",
        "A soft hinge whose scale is far larger than the values that it compares, a wrong sign, or bounds in "
        "other units.",
        "Use a hinge that is exactly 0 inside the bounds, in the unit of the bounds.",
        {"perfect": perfect, "violated": violated},
    )


def _gates(each: Constraint) -> Finding | None:
    if not each.gates:
        return None
    gates = {name: torch.ones_like(each.violated[name]) for name in each.gates}
    opened = _value(each, {**each.violated, **gates})
    closed = _value(each, {**each.violated, **{name: CLOSED * value for name, value in gates.items()}})
    if closed >= opened * (1 - 1e-3) or not _has_gradient(each, gates):
        return None
    return _finding(
        f"Closing the gates of {each.name} to {CLOSED:g} lowers it from {opened:.3g} to {closed:.3g}: the "
        "cheapest way to "
        "obey is to switch the part off.",
        "The gate multiplies the penalty and receives its gradient.",
        "Detach the gate inside the penalty, and give it a prior towards 1 unless there is evidence of absence.",
        {"open": opened, "closed": closed},
    )


def _has_gradient(each: Constraint, gates: Mapping[str, Tensor]) -> bool:
    """A gate that is detached inside the penalty weighs it, but nothing pushes the gate."""
    live = {name: value.clone().requires_grad_() for name, value in gates.items()}
    total = each.penalty({**each.violated, **live})
    if not total.requires_grad:
        return False
    slopes = torch.autograd.grad(total, list(live.values()), allow_unused=True)
    return any(slope is not None and bool((slope > 0).any()) for slope in slopes)


def _value(each: Constraint, parameters: Mapping[str, Tensor]) -> float:
    with torch.no_grad():
        return float(each.penalty(parameters))


def _finding(what: str, cause: str, advice: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        audit=constraint.name,
        severity="serious",
        what=what,
        cause=cause,
        advice=advice,
        evidence=dict(evidence),
    )


constraint = Audit(
    name="constraint",
    law="A constraint is low for what is right, high for what is wrong, and closing a gate does not lower it.",
    needs=("constraints",),
    check=_check,
)
