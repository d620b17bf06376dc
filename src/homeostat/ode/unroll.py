"""Differentiate through the steps themselves: keep all of them, or recompute them in segments that grow."""

import sys
from collections.abc import Iterator
from functools import partial
from itertools import count

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from homeostat.ode.interpolate import observe
from homeostat.ode.march import Iterate, March, Position, march_adaptive, march_fixed, start, to_stats
from homeostat.ode.result import Result, Solution
from homeostat.ode.solver import Field


def unroll(f: Field, march: March, y0: Tensor, gradient: str, step: Iterate, method: str) -> Solution:
    """March to the end and observe on the way; `gradient` "checkpoint" keeps only the starts of segments."""
    position = start(f, y0, march)
    grid = march.grid()[:, 1:] if march.controller is None else None
    ys, unseen = _before_the_first_step(march, y0)
    done = 0
    for limit in _segment_lengths(gradient):
        left = bool((position.result < 0).any()) if grid is None else done < grid.shape[1]
        if not left:
            break
        ahead = None if grid is None else grid[:, done : done + limit]
        walk = partial(_segment, f, march, step, limit, ahead)
        if gradient == "checkpoint" and torch.is_grad_enabled():
            *moved, values, covered = checkpoint(walk, *position, use_reentrant=False)
        else:
            *moved, values, covered = walk(*position)
        position = Position(*moved)
        done += limit
        shape = (*covered.shape, *(1,) * (y0.dim() - 1))
        ys = torch.where(covered.reshape(shape), values, ys)
        unseen = unseen & ~covered
    if march.controller is None:
        position = _judge_fixed(position)
    stats = to_stats(march, position)
    ys = _finish(ys, unseen, march)
    if ys.requires_grad:
        stages = len(march.tableau.b)
        pulled = 1 + stages * stats.accepted
        again = stages * (stats.accepted + stats.rejected) if gradient == "checkpoint" else 0

        def count_backward(_: Tensor) -> None:
            stats.evaluations_backward.copy_(pulled + again)

        ys.register_hook(count_backward)
    return Solution(ys=ys, stats=stats, result=position.result, method=method)


def _segment(
    f: Field, march: March, step: Iterate, limit: int, grid: Tensor | None, *tensors: Tensor
) -> tuple[Tensor, ...]:
    """Take at most `limit` steps, or those along `grid`, and observe; checkpoint needs a function of tensors."""
    position = Position(*tensors)
    if grid is None:
        position, strides = march_adaptive(f, march, position, limit, step)
    else:
        position, strides = march_fixed(f, march, position, grid)
    if not strides:
        nowhere = torch.zeros_like(march.times.mask)
        return (*position, position.y[:, None].expand(-1, nowhere.shape[1], *position.y.shape[1:]), nowhere)
    values, covered = observe(march.tableau, march.times, strides, march.all_landed)
    return (*position, values, covered)


def _segment_lengths(gradient: str) -> Iterator[int]:
    """Yield one endless length, or 4, 8, 12, ... for checkpoints.

    n such segments cover 2 n^2 steps, so both the starts that are kept and the longest segment that is recomputed
    grow as the square root of the steps (Chen, Xu, Zhang and Guestrin 2016, arXiv:1604.06174), and their number need
    not be known before.
    """
    return (4 * index for index in count(1)) if gradient == "checkpoint" else iter([sys.maxsize])


def _judge_fixed(position: Position) -> Position:
    """Mark as arrived every sample that was not stopped on the way."""
    return position._replace(result=torch.where(position.result < 0, int(Result.OK), position.result))


def _before_the_first_step(march: March, y0: Tensor) -> tuple[Tensor, Tensor]:
    """Return y0 at every time, and a mask of the times that are not the start and so are unseen yet."""
    times = march.times
    ys = y0[:, None].expand(len(y0), times.t.shape[1], *y0.shape[1:])
    return ys, times.t != times.start[:, None]


def _finish(ys: Tensor, unseen: Tensor, march: March) -> Tensor:
    """Put zeros where there is no observation, and NaN where the solve did not arrive."""
    mask = march.times.mask
    if bool(mask.all()) and not bool(unseen.any()):
        return ys
    shape = (*mask.shape, *(1,) * (ys.dim() - 2))
    ys = torch.where(unseen.reshape(shape), torch.full_like(ys, torch.nan), ys)
    return torch.where(mask.reshape(shape), ys, torch.zeros_like(ys))
