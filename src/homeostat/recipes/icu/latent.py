"""A stay as a path through a latent space: dz/dt = f(z, t), decoded at the stay's own times, read out for death.

Rubanova, Chen and Duvenaud (NeurIPS 2019) with an encoder of statistics instead of a recurrent one: it sees values,
which of them are missing, when they were taken and the descriptors, and it costs one pass over the observations.

B stays, N observations, V variables, T moments, G hours on a fixed grid, D latent dimensions, H hidden units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.ode import odeint
from homeostat.recipes.icu.cohort import HORIZONS_D, HOURS, SCORES, Batch
from homeostat.recipes.icu.summary import Summary, width

GRID = 9
"""Every six hours, ends included: where the path is read for the outcome, whenever it was observed."""
OUTPUTS = 1 + len(SCORES) + len(HORIZONS_D)
FIRST_SPREAD = -3.0
"""Logarithm of the first variance of the posterior: small, so that the path carries information from the start."""


@dataclass(frozen=True, kw_only=True)
class Size:
    variables: int
    static: int
    latent: int = 32
    hidden: int = 256
    field: int = 64
    input_dropout: float = 0.4
    dropout: float = 0.5
    head_dropout: float = 0.2


@dataclass(frozen=True)
class Read:
    """The outputs of a model for a batch."""

    logits: Tensor  # (B, OUTPUTS) death in hospital, severity scores, death within each horizon
    mean: Tensor | None = None  # (B, D) of z(0)
    log_variance: Tensor | None = None
    expected: Tensor | None = None  # (N,) value of each observation on the path, of hidden ones too
    evaluations: Tensor | None = None  # (B,) of the field


class Path(NamedTuple):
    """States of a batch: on the grid (B, G, D), and at the real moments of all stays one after the other."""

    grid: Tensor
    own: Tensor


class Field(nn.Module):
    """dz/dt. A plain chain of layers, which the native solver recognises; tanh keeps the path finite."""

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent + 1, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, latent),
        )
        last = self.net[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.bias)
        with torch.no_grad():
            last.weight.mul_(0.3)  # slow at first: a path that hardly moves is a good first guess

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        moved: Tensor = self.net(torch.cat([z, t[:, None]], 1))
        return moved


class Encoder(nn.Module):
    """The distribution of z(0), given the observations of a stay that are not hidden."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.summary = Summary(size.variables)
        self.drop = nn.Dropout(size.input_dropout)
        self.body = nn.Sequential(
            nn.Linear(width(size.variables) + size.static, size.hidden),
            nn.SiLU(),
            nn.LayerNorm(size.hidden),
            nn.Dropout(size.dropout),
            nn.Linear(size.hidden, size.hidden),
            nn.SiLU(),
            nn.Dropout(size.dropout),
        )
        self.mean = nn.Linear(size.hidden, size.latent)
        self.log_variance = nn.Linear(size.hidden, size.latent)
        nn.init.constant_(self.log_variance.bias, FIRST_SPREAD)
        with torch.no_grad():
            self.log_variance.weight.mul_(0.1)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        # Statistics stand in for each other and may be dropped; nothing stands in for age.
        hidden = self.body(torch.cat([self.drop(self.summary(batch)), batch.static], 1))
        return self.mean(hidden), self.log_variance(hidden).clamp(-10, 2)


class LatentOde(nn.Module):
    """Encoder, path, decoder of observations and reader of outcomes."""

    def __init__(self, size: Size, step_h: float = 6.0) -> None:
        super().__init__()
        self._step = step_h / HOURS
        self.encoder = Encoder(size)
        self.field = Field(size.latent, size.field)
        self.decoder = nn.Sequential(nn.Linear(size.latent, 64), nn.SiLU(), nn.Linear(64, size.variables))
        self.reader = nn.Sequential(
            nn.Dropout(size.head_dropout),
            nn.Linear(3 * size.latent, 64),
            nn.SiLU(),
            nn.Dropout(size.head_dropout),
            nn.Linear(64, OUTPUTS),
        )

    def forward(self, batch: Batch, reconstruct: bool = False) -> Read:
        mean, log_variance = self.encoder(batch)
        start = mean
        if self.training:
            start = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        path, evaluations = self.solve(start, batch if reconstruct else None)
        logits = self.reader(torch.cat([path.grid[:, 0], path.grid[:, -1], path.grid.mean(1)], 1))
        expected = self.expect(path.own, batch) if reconstruct else None
        return Read(logits, mean, log_variance, expected, evaluations)

    def solve(self, start: Tensor, batch: Batch | None) -> tuple[Path, Tensor]:
        """The path on the grid and, where a batch is given, at the moments of its stays."""
        grid = torch.linspace(0, 1, GRID, device=start.device).expand(len(start), -1)
        if batch is None:
            solution = odeint(self.field, start, grid, step_size=self._step).require_ok()
            return Path(
                solution.ys, solution.ys.new_zeros(0, solution.ys.shape[-1])
            ), solution.stats.evaluations
        wanted = torch.cat([grid, batch.moments.clamp(0, 1).masked_fill(~batch.real, 1)], 1)
        is_real = functional.pad(batch.real, (GRID, 0), value=True)
        times, order = wanted.sort(dim=1, stable=True)
        solution = odeint(
            self.field, start, times, step_size=self._step, mask=is_real.gather(1, order)
        ).require_ok()
        # Rows are picked from the flat solution: turning all of it back into the order of `wanted` costs more.
        row = order.argsort(dim=1) + torch.arange(len(start), device=start.device)[:, None] * order.shape[1]
        flat = solution.ys.flatten(0, 1)
        own = flat.index_select(0, row[:, GRID:][batch.real])
        on_grid = flat.index_select(0, row[:, :GRID].flatten()).view(len(start), GRID, -1)
        return Path(on_grid, own), solution.stats.evaluations

    def expect(self, own: Tensor, batch: Batch) -> Tensor:
        """The expected value of each observation, from the state at its moment."""
        before = functional.pad(batch.real.sum(1).cumsum(0), (1, 0))
        expected: Tensor = self.decoder(own)[before[batch.owner] + batch.step, batch.variable]
        return expected


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """From the posterior of z(0) to the standard normal, mean over stays and dimensions."""
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).mean()


def reconstruction(read: Read, batch: Batch, variables: int, weight_of_seen: float = 0.3) -> Tensor:
    """Huber error of the values on the path, mean over stays; hidden observations count most.

    A variable weighs by the root of its count. Otherwise one that is measured every minute, such as blood pressure,
    would be nearly all of the error.
    """
    assert read.expected is not None
    error = functional.smooth_l1_loss(read.expected, batch.value, reduction="none")
    key = batch.owner * variables + batch.variable
    count = torch.bincount(key, minlength=len(batch.ids) * variables).clamp(min=1)
    weight = torch.where(batch.seen, weight_of_seen, 1.0) * count[key].to(error.dtype).rsqrt()
    # Per stay, then over stays: a stay's part of the loss does not depend on who else is in the batch.
    sums = error.new_zeros(2, len(batch.ids)).index_add_(
        1, batch.owner, torch.stack([error * weight, weight])
    )
    return (sums[0] / sums[1].clamp(min=1e-6)).mean()
