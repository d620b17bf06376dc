"""March a batch through time: every sample has its own step, and one evaluation of the field serves all samples."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from homeostat.ode.controller import Controller, first_step
from homeostat.ode.result import Result, Stats
from homeostat.ode.solver import Field, per_sample, take_step
from homeostat.ode.tableau import Tableau
from homeostat.ode.times import Times, divide


class Position(NamedTuple):
    """The place of every sample, and all else that one trial step changes."""

    t: Tensor
    y: Tensor
    slope: Tensor
    h: Tensor
    """Proposed signed step, before it is cut to land."""
    norm: Tensor
    """Error norm of the last accepted step, and in `norm_before` of the one before it."""
    norm_before: Tensor
    result: Tensor
    """A Result, or -1 while the sample is on its way."""
    accepted: Tensor
    rejected: Tensor
    smallest: Tensor
    largest: Tensor


class Stride(NamedTuple):
    """One trial step of the batch as the interpolant needs it; `t1` is `t0` where the step was rejected."""

    t0: Tensor
    t1: Tensor
    h: Tensor
    y0: Tensor
    y1: Tensor
    slopes: tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True)
class March:
    """The settings of a solve. A `controller` of None means fixed steps."""

    tableau: Tableau
    controller: Controller | None
    times: Times
    step_size: float | None
    """Longest fixed step; None: fixed steps go from observation to observation."""
    max_steps: int

    @property
    def all_landed(self) -> bool:
        """Say whether every observation is the end of some step."""
        if self.times.t.shape[1] == 2 or self.tableau.lands_on_times:
            return True
        return self.controller is None and self.step_size is None

    def grid(self) -> Tensor:
        """Return the ends of the fixed steps (B, G): equal steps over each span or its legs, or the observations."""
        times = self.times
        if self.step_size is None:
            return times.t
        lands = self.tableau.lands_on_times
        return divide(times.t if lands else torch.stack([times.start, times.end], dim=1), self.step_size)


def _finite(x: Tensor) -> Tensor:
    """Mark the samples that are finite in every component."""
    return torch.isfinite(x.detach()).reshape(len(x), -1).all(dim=1)


def start(f: Field, y0: Tensor, march: March) -> Position:
    """Place every sample at its first time, with its first slope and, under adaptive control, its first step."""
    times = march.times
    slope = first_slope(f, times.start, y0)
    broken = ~_finite(slope)
    if bool(broken.any()):
        y0, slope = _step_aside(f, times.start, y0, broken)
    span = times.end - times.start
    h = span
    if march.controller is not None:
        with torch.no_grad():
            h = first_step(march.controller, march.tableau, f, times.start, y0, slope, span)
    position = _standing(times.start, y0, slope, h)
    result = torch.where(span == 0, int(Result.OK), position.result)
    return position._replace(result=torch.where(broken, int(Result.NONFINITE), result))


def _step_aside(f: Field, t: Tensor, y: Tensor, broken: Tensor) -> tuple[Tensor, Tensor]:
    """Move broken samples to the start of a healthy one; return states and slopes.

    Left where they are, they would make every evaluation infinite in their rows, and zero times infinity is NaN in
    the gradient of all that the samples share.
    """
    healthy = int((~broken).int().argmax())
    y = torch.where(per_sample(broken, y).bool(), y[healthy].detach(), y)
    slope = f(t, y) if not bool(broken.all()) else torch.zeros_like(y)
    return y, torch.where(per_sample(broken, y).bool(), torch.zeros_like(slope), slope)


def first_slope(f: Field, t: Tensor, y: Tensor) -> Tensor:
    """Return f(t, y) after a check that it has the type and shape of a derivative of `y`."""
    slope = f(t, y)
    if not isinstance(slope, Tensor):
        raise TypeError(
            f"f returned {type(slope).__name__}; expected a tensor like the state {tuple(y.shape)}."
        )
    if slope.shape != y.shape:
        raise ValueError(
            f"f returned shape {tuple(slope.shape)} for a state of shape {tuple(y.shape)}; "
            "a derivative has the shape of its state."
        )
    if slope.dtype != y.dtype:
        raise TypeError(
            f"f returned {slope.dtype} for a state of {y.dtype}; convert the field's parameters or y0 to agree."
        )
    return slope


def _standing(t: Tensor, y: Tensor, slope: Tensor, h: Tensor) -> Position:
    ones, zeros = torch.ones_like(t.detach()), torch.zeros_like(t, dtype=torch.long)
    return Position(
        t=t,
        y=y,
        slope=slope,
        h=h,
        norm=ones,
        norm_before=ones,
        result=zeros - 1,
        accepted=zeros,
        rejected=zeros,
        smallest=ones * torch.inf,
        largest=ones * 0,
    )


def to_stats(march: March, position: Position) -> Stats:
    # The first slope, and the one that the rule for the first step needs.
    first = 1 if march.controller is None else 2
    counted = first + len(march.tableau.b) * (position.accepted + position.rejected)
    return Stats(
        evaluations=counted,
        evaluations_backward=torch.zeros_like(counted),
        accepted=position.accepted,
        rejected=position.rejected,
        smallest_step=position.smallest,
        largest_step=position.largest,
    )


Iterate = Callable[[Field, March, Tensor, Position], tuple[Position, Stride, Tensor]]


def stops(march: March, position: Position) -> Tensor:
    """Return the time that no step may pass: the sample's end, or the next observation if the method lands on it."""
    times = march.times
    if not march.tableau.lands_on_times:
        return times.end
    ahead = (times.t - position.t[:, None]) * times.direction[:, None] > 0
    first = torch.where(ahead.any(dim=1), ahead.int().argmax(dim=1), times.t.shape[1] - 1)
    return times.t.gather(1, first[:, None])[:, 0]


def iterate(f: Field, march: March, stop: Tensor, position: Position) -> tuple[Position, Stride, Tensor]:
    """Try one adaptive step of every sample that is on its way; mark the samples whose trial was finite."""
    controller = march.controller
    assert controller is not None
    t, y, slope = position.t, position.y, position.slope
    active = position.result < 0
    remaining = stop - t
    # A step that would leave a sliver lands instead: the tolerated error has room for a tenth more.
    lands = position.h.abs() * 1.1 >= remaining.abs()
    h = torch.where(active, torch.where(lands, remaining, position.h), torch.zeros_like(t))
    step = take_step(march.tableau, f, t, y, h, slope)
    assert step.error is not None
    with torch.no_grad():
        norm = controller.norm(step.error, y, step.y1).to(t.dtype)
        # A bounded estimate of the error does not show that the new state or its slope overflowed.
        ends = (step.y1 + step.slopes[-1]).reshape(len(y), -1).sum(dim=1)
        finite = torch.isfinite(norm) & torch.isfinite(ends)
        norm = torch.where(finite, norm, torch.nan)
        # A step that the time cannot resolve would move the state for ever and the sample never.
        frozen = active & ~lands & (t + h == t)
        accept = active & (norm <= 1) & ~frozen
        reject = active & ~accept
        factor = controller.factor((norm, position.norm, position.norm_before), march.tableau.order)
        factor = torch.where(accept, factor, factor.clamp_max(1.0))
        # A landing step may be far shorter than the controller asked for; do not forget what it asked for.
        proposal = h * factor
        proposal = torch.where(accept & lands & (proposal.abs() < position.h.abs()), position.h, proposal)
        proposal = torch.where(active, proposal, position.h)
        stuck = frozen | (reject & (proposal.abs() <= march.times.shortest_step))
        tried = position.accepted + position.rejected + active
        ended = accept & (lands & (stop == march.times.end))
        result = position.result
        result = torch.where(active & (tried >= march.max_steps), int(Result.MAX_STEPS), result)
        result = torch.where(stuck & finite, int(Result.STEP_TOO_SMALL), result)
        result = torch.where(stuck & ~finite, int(Result.NONFINITE), result)
        result = torch.where(ended, int(Result.OK), result)
        length = h.abs()
    t1 = torch.where(accept, torch.where(lands, stop, t + h), t)
    chosen = per_sample(accept, y).bool()
    y1 = torch.where(chosen, step.y1, y)
    after = Position(
        t=t1,
        y=y1,
        slope=torch.where(chosen, step.slopes[-1], slope),
        h=proposal,
        norm=torch.where(accept, norm, position.norm),
        norm_before=torch.where(accept, position.norm, position.norm_before),
        result=result,
        accepted=position.accepted + accept,
        rejected=position.rejected + reject,
        smallest=torch.where(accept, torch.minimum(position.smallest, length), position.smallest),
        largest=torch.where(accept, torch.maximum(position.largest, length), position.largest),
    )
    return after, Stride(t, t1, h, y, y1, step.slopes), finite


def march_adaptive(
    f: Field, march: March, position: Position, limit: int, step: Iterate = iterate
) -> tuple[Position, list[Stride]]:
    """Try steps until every sample has ended, at most `limit` of them."""
    strides: list[Stride] = []
    # On an accelerator, asking "is anyone left?" stalls the queue: ask every few steps, since a sample that
    # has ended stands still.
    patience = 1 if position.t.device.type == "cpu" else 4
    trial = 0
    while trial < limit:
        if trial % patience == 0 and not bool((position.result < 0).any()):
            break
        stop = stops(march, position)
        after, stride, finite = step(f, march, stop, position)
        if torch.is_grad_enabled() and not bool(finite.all()):
            # The gradient of a rejected step is zero, but zero times NaN is NaN: let the offenders stand still
            # in the recorded step.
            still = position._replace(h=torch.where(finite, position.h, torch.zeros_like(position.h)))
            frozen = stop.where(finite, position.t)
            _, stride, _ = step(f, march, frozen, still)
            after = _merge(after, stride, finite)
        if bool((after.accepted > position.accepted).any()):
            strides.append(stride)
            position = after
        else:
            # Nobody moved: keep the counters, drop the graph.
            position = after._replace(t=position.t, y=position.y, slope=position.slope)
        trial += 1
    return position, strides


def _merge(after: Position, stride: Stride, finite: Tensor) -> Position:
    """Join the bookkeeping of the first trial to the states of the second, whose graph is finite."""
    moved = per_sample(after.t != stride.t0, stride.y0).bool()
    return after._replace(
        t=torch.where(finite, stride.t1, stride.t0),
        y=torch.where(moved, stride.y1, stride.y0),
        slope=torch.where(moved, stride.slopes[-1], stride.slopes[0]),
    )


def march_fixed(f: Field, march: March, position: Position, grid: Tensor) -> tuple[Position, list[Stride]]:
    """Step to the columns of `grid`, one after the other; a sample that becomes infinite or NaN stands still."""
    strides = []
    for column in grid.unbind(1):
        t, y = position.t, position.y
        h = torch.where(position.result < 0, column - t, torch.zeros_like(t))
        if not bool((h != 0).any()):
            continue
        step = take_step(march.tableau, f, t, y, h, position.slope)
        finite = _finite(step.y1.detach() + step.slopes[-1].detach())
        broken = (position.result < 0) & ~finite
        if bool(broken.any()):
            # Take the step again without them, because zero times NaN is NaN in the gradient.
            h = torch.where(broken, torch.zeros_like(h), h)
            step = take_step(march.tableau, f, t, y, h, position.slope)
        result = torch.where(broken, int(Result.NONFINITE), position.result)
        t1 = torch.where(result < 0, column, t)
        strides.append(Stride(t, t1, h, y, step.y1, step.slopes))
        with torch.no_grad():
            length, moves = h.abs(), h != 0
            position = position._replace(
                result=result,
                accepted=position.accepted + moves,
                rejected=position.rejected + broken,
                smallest=torch.where(moves, torch.minimum(position.smallest, length), position.smallest),
                largest=torch.maximum(position.largest, length),
            )
        position = position._replace(t=t1, y=step.y1, slope=step.slopes[-1])
    return position, strides
