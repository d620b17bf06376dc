"""The state's format can hold the tolerance that is set, and a fixed step has a size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from homeostat.audits.base import Finding, Severity, law

# Rounding of some ten operations per stage must stay below the error that is estimated.
EPSILONS = 10.0
# With hours or days as they are, a step of one is far too long for a network of tanh; a scaled time is about 1.
SPAN = 20.0


@dataclass(frozen=True, kw_only=True)
class Solve:
    """How a differential equation is solved."""

    absent: ClassVar[str] = "no settings of a solver are at hand"

    name: str = "solver"
    adaptive: bool = True
    rtol: float | None = None
    atol: float | None = None
    step_size: float | None = None
    dtype: str = "float32"
    """Format of the state inside the solver."""
    span: float = 1.0
    """Length of the time that is solved over, in the model's units."""
    times: int = 2
    """Observation times of a typical sample."""


def solves_of(config: Mapping[str, Any], name: str = "config") -> Iterator[Solve]:
    """Read from a plain configuration how equations are solved."""
    fixed = ("euler", "midpoint", "heun", "rk4")
    if isinstance(config.get("solver"), str):
        yield Solve(
            name=name,
            adaptive=config["solver"] not in fixed,
            rtol=config.get("rtol"),
            atol=config.get("atol"),
            step_size=config.get("step_size"),
            times=3,
        )
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from solves_of(value, key)


@law("A tolerance is above ten times the resolution of the state, and a fixed step has a size.")
def tolerance(solves: tuple[Solve, ...]) -> Finding | None:
    return next((finding for each in solves if (finding := _judge(each)) is not None), None)


def _judge(each: Solve) -> Finding | None:
    epsilon = torch.finfo(getattr(torch, each.dtype)).eps
    # The first guide solved under autocast: more than 20,000 evaluations instead of 236 (log/icu.md).
    if each.dtype in ("float16", "bfloat16"):
        return _finding(
            f"{each.name} holds its state in {each.dtype}, whose resolution is {epsilon:.1g}.",
            "fatal",
            "Autocast is on around the solver: its error estimate becomes rounding noise and steps shrink without end.",
            "Solve in float32 with autocast off (declare the field as an island of the task).",
            {"resolution": epsilon},
        )
    if each.adaptive and each.rtol is not None and each.rtol < EPSILONS * epsilon:
        return _finding(
            f"{each.name} asks for rtol {each.rtol:g}; {each.dtype} resolves {epsilon:.1g}, so "
            f"{EPSILONS * epsilon:.1g} is the least that can be met.",
            "fatal",
            "Defaults that were made for float64, or a tolerance that was tightened to be safe.",
            "Use rtol 1e-3 to 1e-5, or solve in float64.",
            {"rtol": each.rtol, "resolution": epsilon},
        )
    if not each.adaptive and each.step_size is None and each.times <= 2:
        return _finding(
            f"{each.name} has a fixed step and no step size: it goes from the first to the last time, "
            f"{each.span:g}, in one step.",
            "serious",
            "A fixed-step method without a step size steps from observation to observation.",
            "Set step_size, and compare one batch with a tight adaptive solve.",
            {"span": each.span},
        )
    if not each.adaptive and (each.rtol is not None or each.atol is not None):
        return _finding(
            f"{each.name} has a fixed step; its tolerances (rtol {each.rtol}, atol {each.atol}) do nothing.",
            "note",
            "The solver was exchanged and its settings were left.",
            "Remove the tolerances, or take an adaptive solver.",
            {},
        )
    if each.span > SPAN:
        return _finding(
            f"{each.name} solves over a time span of {each.span:g}.",
            "note",
            "Time is in raw units (hours, days).",
            "Scale time by a constant of the data set to about 0 to 1.",
            {"span": each.span},
        )
    return None


def _finding(what: str, severity: Severity, cause: str, advice: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        audit=tolerance.name,
        severity=severity,
        what=what,
        cause=cause,
        advice=advice,
        evidence=dict(evidence),
    )
