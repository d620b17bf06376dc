"""Statistics of the observations of a stay, variable by variable. Their order changes none of them.

B stays, V variables, N observations, K statistics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from homeostat.recipes.icu.cohort import HOURS, Batch

BASIC = ("count", "seen", "mean", "spread", "min", "max", "first", "last", "slope", "gap_before", "gap_after")
AS_THEY_ARE = ("seen", "gap_before", "gap_after")
MEMORY_H = (1.0, 4.0, 12.0)
"""Means that forget within so many hours before the end, and one that remembers the beginning."""
QUARTERS = 4
"""Means of twelve hours each: they show how the course bends, which a single slope cannot."""
SCALED_LIMIT = 4.0


def statistics(batch: Batch, variables: int) -> Tensor:
    """(B, V, K) of the observations that are not hidden; zeros where there is none."""
    key, time, value = _observed(batch, variables)
    cells = len(batch.ids) * variables
    count = _sum(key, torch.ones_like(value), cells)
    some, known = count.clamp(min=1), count > 0
    mean, middle = _sum(key, value, cells) / some, _sum(key, time, cells) / some
    above, after = value - mean.index_select(0, key), time - middle.index_select(0, key)
    spread = (_sum(key, above * above, cells) / some).sqrt()
    width = _sum(key, after * after, cells) / some
    # The sum and not the mean of products: a slope counts by how many observations it rests on.
    slope = torch.where(width > 1e-6, _sum(key, above * after, cells) / (width + 1e-4), 0)
    place = torch.arange(len(key), device=key.device)
    first, last = (_extreme(key, place, cells, which) for which in ("amin", "amax"))
    at = [
        source.index_select(0, row) if len(key) else torch.zeros_like(count)
        for source in (value, time)
        for row in (first, last)
    ]
    columns = [
        count.log1p(),
        known.to(value.dtype),
        mean,
        spread,
        _extreme(key, value, cells, "amin"),
        _extreme(key, value, cells, "amax"),
        at[0] * known,
        at[1] * known,
        slope,
        torch.where(known, at[2], 1),
        torch.where(known, 1 - at[3], 1),
        *_memories(key, time, value, cells),
        *_quarters(key, time, value, cells)[0].unbind(1),
    ]
    return torch.stack(columns, dim=-1).view(len(batch.ids), variables, len(columns))


def width(variables: int) -> int:
    """Numbers per stay."""
    return variables * (len(BASIC) + 2 * (len(MEMORY_H) + 1) + QUARTERS)


def quarters(batch: Batch, variables: int) -> tuple[Tensor, Tensor]:
    """(B * V, QUARTERS) means of what was seen in each, 0 where nothing was; and whether anything was."""
    return _quarters(*_observed(batch, variables), len(batch.ids) * variables)


class Summary(nn.Module):
    """Statistics on a common scale, fitted on the training stays and kept with the weights."""

    shift: Tensor
    scale: Tensor

    def __init__(self, variables: int) -> None:
        super().__init__()
        self._variables = variables
        count = width(variables) // variables
        self.register_buffer("shift", torch.zeros(variables, count))
        self.register_buffer("scale", torch.ones(variables, count))

    def fit(self, batches: Sequence[Batch]) -> None:
        """Mean and deviation over the stays in which a variable was seen."""
        values = torch.cat([statistics(batch, self._variables) for batch in batches]).double()
        weight = _weights(values)
        some = weight.sum(0).clamp(min=1)
        shift = (values * weight).sum(0) / some
        scale = (((values - shift) ** 2 * weight).sum(0) / some).sqrt() + 1e-3
        as_they_are = [BASIC.index(name) for name in AS_THEY_ARE]
        # Memories and quarters are 0 unless something was seen then; scaled to unit variance they would shout.
        as_they_are += range(len(BASIC), values.shape[-1])
        shift[:, as_they_are], scale[:, as_they_are] = 0, 1
        self.shift.copy_(shift)
        self.scale.copy_(scale)

    def forward(self, batch: Batch) -> Tensor:  # (B, V * K)
        values = statistics(batch, self._variables)
        scaled = ((values - self.shift) / self.scale).clamp(-SCALED_LIMIT, SCALED_LIMIT)
        return (scaled * _weights(values)).flatten(1)


def _weights(values: Tensor) -> Tensor:
    """1 where a statistic means something: all of them if the variable was seen, else counts and gaps alone."""
    seen = values[..., BASIC.index("seen"), None].expand_as(values).clone()
    for name in ("count", *AS_THEY_ARE):
        seen[..., BASIC.index(name)] = 1
    return seen


def _observed(batch: Batch, variables: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cell, time and value of each observation that is not hidden. Looked up once: that is half of the work."""
    rows = batch.seen.nonzero().squeeze(1)
    owner, variable, time, value = (
        source.index_select(0, rows) for source in (batch.owner, batch.variable, batch.time, batch.value)
    )
    return owner * variables + variable, time, value


def _quarters(key: Tensor, time: Tensor, value: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    key = key * QUARTERS + (time * QUARTERS).long().clamp(0, QUARTERS - 1)
    count = _sum(key, torch.ones_like(value), cells * QUARTERS)
    mean = _sum(key, value, cells * QUARTERS) / count.clamp(min=1)
    return mean.view(-1, QUARTERS), (count > 0).view(-1, QUARTERS)


def _sum(key: Tensor, values: Tensor, cells: int) -> Tensor:
    return values.new_zeros(cells).index_add_(0, key, values)


def _extreme(key: Tensor, values: Tensor, cells: int, which: str) -> Tensor:
    return values.new_zeros(cells).scatter_reduce_(0, key, values, which, include_self=False)


def _memories(key: Tensor, time: Tensor, value: Tensor, cells: int) -> list[Tensor]:
    """Exponentially weighted means and the logarithm of their weights."""
    columns = []
    ages = [(1 - time) * HOURS / hours for hours in MEMORY_H] + [time * HOURS / MEMORY_H[-1]]
    for age in ages:
        weight = torch.exp(-age)
        total = _sum(key, weight, cells)
        columns += [_sum(key, weight * value, cells) / (total + 1e-3), total.log1p()]
    return columns


def start_bias(rate: float) -> float:
    """Logit of the prior: a network that knows nothing yet should say how common death is."""
    return math.log(rate / (1 - rate))
