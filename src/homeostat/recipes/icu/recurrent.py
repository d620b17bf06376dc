"""Two recurrent readers of a stay: GRU-D, whose memory fades with time, and ODE-RNN, whose memory flows.

Che et al., Scientific Reports 8 (2018) 6085; Rubanova, Chen and Duvenaud (NeurIPS 2019). Both read bins of an hour.

B stays, V variables, R bins, H hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.ode import odeint
from homeostat.recipes.icu.cohort import HOURS, Batch
from homeostat.recipes.icu.latent import OUTPUTS, Field, Read, Size

BINS = 48


@dataclass(frozen=True)
class Bins:
    """Means of an hour's observations; `gap` counts, per variable, units of 48 h since it was last seen."""

    value: Tensor  # (B, R, V), 0 where not seen
    seen: Tensor  # (B, R, V)
    held: Tensor  # (B, R, V) value when last seen before, 0 before the first
    gap: Tensor  # (B, R, V)
    time: Tensor  # (B, R) of the bin's last observation, else of its beginning


def bins(batch: Batch, variables: int) -> Bins:
    count = len(batch.ids)
    shown = batch.seen
    row = (batch.time[shown] * BINS).long().clamp(max=BINS - 1) + batch.owner[shown] * BINS
    cell = row * variables + batch.variable[shown]
    value, time = batch.value[shown], batch.time[shown]
    size = count * BINS * variables
    number = value.new_zeros(size).index_add_(0, cell, torch.ones_like(value))
    mean = value.new_zeros(size).index_add_(0, cell, value) / number.clamp(min=1)
    shape = (count, BINS, variables)
    seen, mean = (number > 0).view(shape), mean.view(shape)
    begin = torch.arange(BINS, device=value.device, dtype=value.dtype) / BINS
    last = begin.repeat(count).scatter_reduce_(0, row, time, "amax", include_self=True)
    held, gap = _carry(mean, seen)
    return Bins(mean, seen.to(value.dtype), held, gap, last.view(count, BINS))


def _carry(mean: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """The last value before each bin and the time since then; 0 and the time since admission where there is none."""
    place = torch.arange(1, BINS + 1, device=mean.device)[None, :, None]
    latest = (place * seen).cummax(dim=1).values
    before = functional.pad(latest[:, :-1], (0, 0, 1, 0))
    held = functional.pad(mean, (0, 0, 1, 0)).gather(1, before)
    return held, (place - before).to(mean.dtype) / BINS


class Reader(nn.Module):
    """Outcomes from a final state and the descriptors."""

    def __init__(self, hidden: int, static: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(hidden + static, 64),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(64, OUTPUTS),
        )

    def forward(self, state: Tensor, static: Tensor) -> Tensor:
        logits: Tensor = self.net(torch.cat([state, static], 1))
        return logits


class GruD(nn.Module):
    """A missing value fades from the last observed one towards the mean, and the state fades too."""

    def __init__(self, size: Size, hidden: int) -> None:
        super().__init__()
        self._variables = size.variables
        self.value_fade = nn.Parameter(torch.full((size.variables,), 4.0))
        self.state_fade = nn.Linear(size.variables, hidden)
        self.drop = nn.Dropout(size.input_dropout / 2)
        self.cell = nn.GRUCell(2 * size.variables, hidden)
        self.reader = Reader(hidden, size.static, size.dropout)

    def forward(self, batch: Batch, reconstruct: bool = False) -> Read:
        seen = bins(batch, self._variables)
        kept = torch.exp(-functional.relu(self.value_fade) * seen.gap)
        value = seen.value + (1 - seen.seen) * kept * seen.held
        inputs = self.drop(torch.cat([value, seen.seen], -1)).unbind(1)
        fades = torch.exp(-functional.relu(self.state_fade(seen.gap))).unbind(1)
        state = value.new_zeros(len(value), self.cell.hidden_size)
        for given, fade in zip(inputs, fades, strict=True):
            state = self.cell(given, state * fade)
        return Read(self.reader(state, batch.static))


class OdeRnn(nn.Module):
    """Between two hours with observations the state follows a differential equation, at them it jumps."""

    def __init__(self, size: Size, hidden: int, step_h: float) -> None:
        super().__init__()
        self._variables, self._step = size.variables, step_h / HOURS
        self.field = Field(hidden, size.field)
        self.drop = nn.Dropout(size.input_dropout / 2)
        self.cell = nn.GRUCell(3 * size.variables, hidden)
        self.reader = Reader(hidden, size.static, size.dropout)

    def forward(self, batch: Batch, reconstruct: bool = False) -> Read:
        seen = bins(batch, self._variables)
        inputs = self.drop(torch.cat([seen.value, seen.seen, seen.gap], -1)).unbind(1)
        jumps = seen.seen.amax(-1)[..., None].unbind(1)
        times = functional.pad(seen.time, (1, 1))
        times[:, -1] = 1
        state = seen.value.new_zeros(len(seen.value), self.cell.hidden_size)
        for place, (given, jump) in enumerate(zip(inputs, jumps, strict=True)):
            state = self.flow(state, times[:, place : place + 2])
            state = torch.where(jump > 0, self.cell(given, state), state)
        return Read(self.reader(self.flow(state, times[:, -2:]), batch.static))

    def flow(self, state: Tensor, span: Tensor) -> Tensor:
        return odeint(self.field, state, span, solver="midpoint", step_size=self._step).require_ok().ys[:, -1]
