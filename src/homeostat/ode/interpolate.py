"""Interpolate the states at the observation times from the steps that passed over them."""

import torch
from torch import Tensor

from homeostat.ode.march import Stride
from homeostat.ode.solver import per_sample
from homeostat.ode.tableau import Tableau
from homeostat.ode.times import Times


def observe(tableau: Tableau, times: Times, strides: list[Stride], landed: bool) -> tuple[Tensor, Tensor]:
    """Return states (B, T, ...) at the observation times, and a mask (B, T) of the times that the strides cover.

    With `landed` every observation is the end of a step, and nothing is interpolated. Times at or before the start
    of the strides, and beyond their end, are not covered.
    """
    sign = times.direction[:, None]
    ends = torch.stack([stride.t1.detach() for stride in strides], dim=1) * sign
    increasing = times.t.detach() * sign
    begin = strides[0].t0.detach()[:, None] * sign
    index = torch.searchsorted(ends.contiguous(), increasing.contiguous())
    covered = (increasing > begin) & (index < len(strides))
    index = index.clamp_max(len(strides) - 1).T
    rows = torch.arange(index.shape[1], device=index.device)

    def at(tensors: list[Tensor]) -> Tensor:
        return torch.stack(tensors)[index, rows].transpose(0, 1)

    if landed:
        return at([stride.y1 for stride in strides]), covered
    t0, h = at([stride.t0 for stride in strides]), at([stride.h for stride in strides])
    h = torch.where(h == 0, torch.ones_like(h), h)
    theta = torch.where(covered, (times.t - t0) / h, torch.zeros_like(h))
    ys = at([stride.y0 for stride in strides])
    for stage, coefficients in enumerate(tableau.interpolant):
        if not any(coefficients):
            continue
        weight = h * _polynomial(coefficients, theta)
        slope = at([stride.slopes[stage] for stride in strides])
        ys = ys + per_sample(weight.flatten(), ys.flatten(0, 1)).unflatten(0, weight.shape) * slope
    return ys, covered


def _polynomial(coefficients: tuple[float, ...], theta: Tensor) -> Tensor:
    """Sum coefficient k times theta^(k + 1) by Horner's rule."""
    total = torch.full_like(theta, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * theta + coefficient
    return total * theta
