"""Solve backwards for gradients, with memory that does not grow with the number of steps.

The method is the continuous adjoint of Chen, Rubanova, Bettencourt and Duvenaud 2018 (NeurIPS). The error control of
the backward solve looks at state and adjoint only, the seminorm of Kidger, Chen and Lyons 2021 (ICML): gradients of
parameters are quadratures over the accepted steps, so their error does not feed back into the solve.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from homeostat.ode.march import (
    Iterate,
    March,
    Position,
    Stride,
    iterate,
    march_adaptive,
    march_fixed,
    start,
    to_stats,
)
from homeostat.ode.result import Result, Solution, SolverError
from homeostat.ode.solver import Field, per_sample, weighted
from homeostat.ode.tableau import Tableau
from homeostat.ode.times import Times
from homeostat.ode.unroll import unroll


class Reached:
    """The tensors whose gradients the adjoint computes: those that were named, or all that the field reaches."""

    def __init__(self, owned: Sequence[Tensor], named: Sequence[Tensor] | None) -> None:
        self.named = named
        self._leaves = {id(p): p for p in (owned if named is None else named) if p.requires_grad}
        # The graph of a tensor that the field closes over outlives an evaluation; it is walked twice, not always.
        self._outside: set[object] | None = None
        self._first: set[object] | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(self._leaves.values())

    def add(self, slope: Tensor, state: Tensor | None = None) -> list[Tensor]:
        """Add the leaves of the graph of one evaluation, but for its state, and return those that are new."""
        if self.named is not None:
            return []
        seen, stack, new = set(self._outside or ()), [slope.grad_fn], []
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            variable = getattr(node, "variable", None)  # only AccumulateGrad nodes carry one
            if variable is not None and variable is not state and id(variable) not in self._leaves:
                new.append(variable)
            stack.extend(parent for parent, _ in node.next_functions)
        if self._first is None:
            self._first = seen
        elif self._outside is None:
            self._outside, self._first = self._first & seen, set()
        self._leaves |= {id(variable): variable for variable in new}
        return new

    def watch(self, f: Field) -> Field:
        """Return the field, with the leaves of every evaluation noted."""

        def field(t: Tensor, y: Tensor) -> Tensor:
            with torch.enable_grad():
                slope = f(t.detach(), y.detach())
            if not isinstance(slope, Tensor):
                return slope
            self.add(slope)
            return slope.detach()

        return field


def backsolve(f: Field, y0: Tensor, march: March, step: Iterate, method: str, reached: Reached) -> Solution:
    """Solve without a graph; the backward pass solves for state and adjoint from each observation to the one before."""
    watched, probes = f, 0
    if step is iterate:
        watched = reached.watch(f)
    else:  # compiled code cannot be watched: the first evaluation speaks for it, and the way back checks that
        with torch.no_grad():
            reached.watch(f)(march.times.start.detach(), y0.detach())
        probes = 1
    with torch.no_grad():
        solution = unroll(watched, march, y0, "direct", step, method)
    ys: Tensor = _Backsolve.apply(  # type: ignore[no-untyped-call]  # torch's own
        f, march, solution, reached, solution.ys, y0, march.times.t, *reached.tensors
    )
    stats = replace(solution.stats, evaluations=solution.stats.evaluations + probes)
    return Solution(ys=ys, stats=stats, result=solution.result, method="adjoint, " + solution.method)


class _Backsolve(torch.autograd.Function):
    """The identity on solved states, with the continuous adjoint as its derivative."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        f: Field,
        march: March,
        solution: Solution,
        reached: Reached,
        ys: Tensor,
        *tensors: Tensor,
    ) -> Tensor:
        ctx.f, ctx.march, ctx.solution, ctx.reached = f, march, solution, reached  # type: ignore[attr-defined]  # autograd's own idiom
        ctx.save_for_backward(ys, *tensors)
        return ys.clone()

    @staticmethod
    def backward(ctx: Any, grad_ys: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # by create_graph=True
            raise SolverError(
                "gradient='adjoint' has no second derivative. Use gradient='direct' with backend='plain'."
            )
        ys, _, t, *parameters = ctx.saved_tensors
        with torch.autocast(ys.device.type, enabled=False):
            solve = ctx.f, ctx.march, ctx.solution, ctx.reached
            gradients = _march_back(*solve, parameters, ys, t, grad_ys)
        grad_y0, grad_t, *grad_parameters = gradients
        return (*(None,) * 5, grad_y0, grad_t if ctx.needs_input_grad[6] else None, *grad_parameters)


def _march_back(
    f: Field,
    march: March,
    solution: Solution,
    reached: Reached,
    parameters: list[Tensor],
    ys: Tensor,
    t: Tensor,
    grad_ys: Tensor,
) -> list[Tensor]:
    """Return the gradients of y0, of the times and of the parameters; go from the last observation to the first."""
    arrived = solution.result == int(Result.OK)
    adjoint = torch.zeros_like(ys[:, 0])
    shape = adjoint.shape
    gradients = [torch.zeros_like(parameter) for parameter in parameters]
    grad_t = torch.zeros_like(t)
    if not bool(arrived.any()):
        return [adjoint, grad_t, *gradients]
    states, pulls = _known(march.times, arrived, ys, grad_ys)
    # The tensor that `stats` holds: the caller sees these counts once the backward pass has run.
    counted = solution.stats.evaluations_backward
    quadrature = sum(map(bool, march.tableau.b)) if parameters else 0
    field = _augmented(f, shape, reached)
    step = None
    for index in range(t.shape[1] - 1, 0, -1):
        # The stored state replaces the one integrated backwards, so that its drift ends at each observation.
        y = states[:, index]
        adjoint = adjoint + pulls[:, index]
        if t.requires_grad:
            grad_t[:, index] += _inner(pulls[:, index], f(t[:, index], y)).to(t.dtype)
        nearer = torch.where(arrived, t[:, index - 1], t[:, index])
        both = torch.stack([t[:, index], nearer], dim=1).detach()
        leg = replace(march, times=replace(march.times, t=both, mask=torch.ones_like(both, dtype=torch.bool)))
        joint = torch.cat([y.reshape(len(y), -1), adjoint.reshape(len(y), -1)], dim=1)
        position, strides = _one_leg(field, leg, joint, step)
        step = position.h
        adjoint = position.y[:, joint.shape[1] // 2 :].reshape(shape)
        for stride in strides:
            _add_quadrature(f, march.tableau, stride, shape, parameters, gradients)
        counted += to_stats(leg, position).evaluations + quadrature * position.accepted + t.requires_grad
    if t.requires_grad:
        grad_t[:, 0] -= _inner(adjoint, f(t[:, 0], states[:, 0])).to(t.dtype)
        counted += 1
    return [adjoint + pulls[:, 0], grad_t, *gradients]


def _known(times: Times, arrived: Tensor, ys: Tensor, grad_ys: Tensor) -> tuple[Tensor, Tensor]:
    """Return states and incoming gradients (B, T, ...) without holes.

    A masked time repeats the state observed before it. A sample that failed takes the states of one that arrived, so
    that the field stays finite, and its incoming gradients are zero.
    """
    index = torch.arange(ys.shape[1], device=ys.device).expand(ys.shape[:2])
    latest = torch.where(times.mask, index, torch.zeros_like(index)).cummax(dim=1).values
    rows = torch.where(arrived, torch.arange(len(ys), device=ys.device), arrived.int().argmax())[:, None]
    states = ys[rows, latest[rows[:, 0]]]
    counts = (times.mask & arrived[:, None]).reshape(*ys.shape[:2], *(1,) * (ys.dim() - 2))
    return states, torch.where(counts, grad_ys, torch.zeros_like(grad_ys))


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).reshape(len(a), -1).sum(dim=1)


def _augmented(f: Field, shape: torch.Size, reached: Reached) -> Field:
    """Return d/dt of state and adjoint side by side: f, and minus adjoint times Jacobian (Chen et al. 2018, eq. 4)."""

    def field(t: Tensor, joint: Tensor) -> Tensor:
        state, adjoint = joint.chunk(2, dim=1)
        with torch.enable_grad():
            y = state.reshape(shape).detach().requires_grad_()
            # A field without a state in it has no graph; zero times the state gives it one, and no gradient.
            slope = f(t, y)
            _refuse_late(reached.add(slope, y))
            slope = slope if slope.requires_grad else slope + 0 * y
            (pull,) = torch.autograd.grad(
                slope, y, adjoint.reshape(shape), allow_unused=True, materialize_grads=True
            )
        return torch.cat([slope.detach().reshape(state.shape), -pull.reshape(state.shape)], dim=1)

    return field


def _refuse_late(late: list[Tensor]) -> None:
    if late:
        raise SolverError(
            f"gradient='adjoint': the way back reached a parameter of shape {tuple(late[0].shape)} that no "
            "evaluation of the way forward reached. Name it in parameters=[...], make the field a module "
            "that owns it, or use gradient='direct'."
        )


def _one_leg(field: Field, leg: March, joint: Tensor, step: Tensor | None) -> tuple[Position, list[Stride]]:
    """Go from one observation back to the one before; begin with the step that the last leg ended with."""
    position = start(field, joint, leg)
    if leg.controller is None:
        return march_fixed(field, leg, position, leg.grid()[:, 1:])
    if step is not None:
        known = step != 0
        position = position._replace(h=torch.where(known, step.abs() * leg.times.direction, position.h))
    position, strides = march_adaptive(field, leg, position, sys.maxsize)
    if bool((position.result != int(Result.OK)).any()):
        bad = torch.nonzero(position.result).flatten().tolist()
        raise SolverError(
            f"The backward solve of gradient='adjoint' failed for samples {bad[:8]}: "
            f"{Result(int(position.result[bad[0]])).sentence} gradient='direct' needs no backward solve."
        )
    return position, strides


def _add_quadrature(
    f: Field,
    tableau: Tableau,
    stride: Stride,
    shape: torch.Size,
    parameters: Sequence[Tensor],
    gradients: list[Tensor],
) -> None:
    """Add the step's share of the integral of adjoint times df/dparameters, with the method's own weights."""
    if not parameters:
        return
    width = torch.where(stride.t1 != stride.t0, stride.h, torch.zeros_like(stride.h))
    for stage, (node, weight) in enumerate(zip(tableau.c, tableau.b, strict=True)):
        if not weight:
            continue
        joint = stride.y0
        if stage:
            joint = joint + per_sample(stride.h, joint) * weighted(
                tableau.a[stage - 1], stride.slopes[:stage]
            )
        state, adjoint = joint.chunk(2, dim=1)
        pull = (per_sample(-weight * width, adjoint) * adjoint).reshape(shape)
        with torch.enable_grad():
            slope = f(stride.t0 + node * stride.h, state.reshape(shape))
            if not slope.requires_grad:
                continue
            # The graph may reach beyond the field, into what computed a tensor that it closes over.
            shares = torch.autograd.grad(slope, parameters, pull, retain_graph=True, allow_unused=True)
        for gradient, share in zip(gradients, shares, strict=True):
            if share is not None:
                gradient += share
