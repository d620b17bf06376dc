"""Solve backwards for gradients, with memory that does not grow with the number of steps.

The method is the continuous adjoint of Chen, Rubanova, Bettencourt and Duvenaud 2018 (NeurIPS). The error control of
the backward solve looks at state and adjoint only, the seminorm of Kidger, Chen and Lyons 2021 (ICML): gradients of
parameters are quadratures over the accepted steps, so their error does not feed back into the solve.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx

from homeostat.ode.march import Iterate, March, Position, Stride, march_adaptive, march_fixed, start, to_stats
from homeostat.ode.result import Result, Solution, SolverError
from homeostat.ode.solver import Field, per_sample, weighted
from homeostat.ode.tableau import Tableau
from homeostat.ode.times import Times
from homeostat.ode.unroll import unroll


def leaves(output: Tensor) -> Iterator[Tensor]:
    """Yield the tensors whose gradients a backward pass from `output` would reach."""
    seen, stack = set(), [output.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)  # only AccumulateGrad nodes carry one
        if variable is not None:
            yield variable
        stack.extend(parent for parent, _ in node.next_functions)


def backsolve(f: Field, y0: Tensor, march: March, step: Iterate, method: str) -> Solution:
    """Solve without a graph; the backward pass solves for state and adjoint from each observation to the one before."""
    with torch.enable_grad():
        probe = f(march.times.start.detach(), y0.detach())
    parameters = {id(leaf): leaf for leaf in leaves(probe)} if isinstance(probe, Tensor) else {}
    if isinstance(f, nn.Module):
        # Parameters that the first evaluation did not touch may be touched later.
        parameters |= {id(p): p for p in f.parameters() if p.requires_grad}
    with torch.no_grad():
        solution = unroll(f, march, y0, "direct", step, method)
    wanted = tuple(leaf for leaf in parameters.values() if leaf.requires_grad and leaf.is_leaf)
    ys: Tensor = _Backsolve.apply(  # type: ignore[no-untyped-call]  # torch's own
        f, march, solution, solution.ys, y0, march.times.t, *wanted
    )
    stats = replace(solution.stats, evaluations=solution.stats.evaluations + 1)  # the probe
    return Solution(ys=ys, stats=stats, result=solution.result, method="adjoint, " + solution.method)


class _Backsolve(torch.autograd.Function):
    """The identity on solved states, with the continuous adjoint as its derivative."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, f: Field, march: March, solution: Solution, ys: Tensor, *tensors: Tensor
    ) -> Tensor:
        ctx.f, ctx.march, ctx.solution = f, march, solution  # type: ignore[attr-defined]  # autograd's own idiom
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
            gradients = _march_back(ctx.f, ctx.march, ctx.solution, parameters, ys, t, grad_ys)
        grad_y0, grad_t, *grad_parameters = gradients
        return (
            None,
            None,
            None,
            None,
            grad_y0,
            grad_t if ctx.needs_input_grad[5] else None,
            *grad_parameters,
        )


def _march_back(
    f: Field,
    march: March,
    solution: Solution,
    parameters: Sequence[Tensor],
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
    field = _augmented(f, shape)
    step = None
    for index in range(t.shape[1] - 1, 0, -1):
        # The stored state replaces the one integrated backwards, so that its drift ends at each observation.
        y = states[:, index]
        adjoint = adjoint + pulls[:, index]
        if t.requires_grad:
            grad_t[:, index] += _inner(pulls[:, index], f(t[:, index], y)).to(t.dtype)
        nearer = torch.where(arrived, t[:, index - 1], t[:, index])
        both = torch.stack([t[:, index], nearer], dim=1).detach()
        leg = replace(march, times=Times(t=both, mask=torch.ones_like(both, dtype=torch.bool)))
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


def _augmented(f: Field, shape: torch.Size) -> Field:
    """Return d/dt of state and adjoint side by side: f, and minus adjoint times Jacobian (Chen et al. 2018, eq. 4)."""

    def field(t: Tensor, joint: Tensor) -> Tensor:
        state, adjoint = joint.chunk(2, dim=1)
        with torch.enable_grad():
            y = state.reshape(shape).detach().requires_grad_()
            # A field without a state in it has no graph; zero times the state gives it one, and no gradient.
            slope = f(t, y)
            slope = slope if slope.requires_grad else slope + 0 * y
            (pull,) = torch.autograd.grad(
                slope, y, adjoint.reshape(shape), allow_unused=True, materialize_grads=True
            )
        return torch.cat([slope.detach().reshape(state.shape), -pull.reshape(state.shape)], dim=1)

    return field


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
