"""Do bounds have units, and do people lie within them? A bound in shares of a strip hides that it means 400 ms."""

from __future__ import annotations

from homeostat.audits.base import Audit, Bound, Case, Finding


def _check(case: Case) -> Finding | None:
    return next((finding for each in case.bounds if (finding := _judge(each)) is not None), None)


def _judge(each: Bound) -> Finding | None:
    if not each.unit:
        return _finding(each, f"The bound {each.name} ({each.low:g} to {each.high:g}) has no unit.", {})
    if each.known is None:
        return None
    low, high = each.low * each.factor, each.high * each.factor
    inside = max(0.0, min(high, each.known[1]) - max(low, each.known[0]))
    width = each.known[1] - each.known[0]
    if inside >= 0.5 * width:
        return None
    told = f"{low:g} to {high:g} {each.known_unit}"
    people = f"{each.known[0]:g} to {each.known[1]:g} {each.known_unit}"
    return _finding(
        each,
        f"The bound {each.name} means {told}; people have {people}, {inside / width:.0%} of which it allows.",
        {"low": low, "high": high},
    )


def _finding(each: Bound, what: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        audit=units.name,
        severity="serious",
        what=what,
        evidence=dict(evidence),
        cause="The bound was written in units of the model (a share of the record, a scaled time) and never converted.",
        advice="Write it in milliseconds, or whatever the textbook uses, and convert in one place.",
    )


units = Audit(
    name="units",
    law="A bound has a unit and holds what people have.",
    needs=("bounds",),
    check=_check,
)
