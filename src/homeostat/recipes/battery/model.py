"""The latent neural ODE of ageing: a state that flows between observations and is corrected at each.

Between two observations the state follows dz/dt = f(z), solved over the cell's own interval. At an observation it
moves towards what the inputs say, z <- z + g (e(x) - z), by a learned gain g in (0, 1). Where nothing is seen it
only flows: that is a forecast. (ODE-RNN: Rubanova, Chen and Duvenaud 2019; the correction is a Luenberger observer.)

Shapes: B tracks, T steps, F inputs, L latent, H hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from homeostat.ode import Solution, odeint
from homeostat.ode.integrate import Gradient
from homeostat.ode.solver import find_solver

# Padding and discharges of the same moment have no duration, but a solver needs one; the state hardly moves.
SHORTEST = 1e-4
# Steps of a fixed-step method in scaled time, unless another is chosen.
STEP_SIZE = 1.0


@dataclass(frozen=True, kw_only=True)
class Trace:
    """The output of a network at each step, and the work of the solver for it."""

    output: Tensor
    """(B, T), in units of the scaled target; filler where not valid."""
    solver_steps: Tensor
    """Steps of the solver per track, rejected ones included, (B,)."""
    evaluations: Tensor
    """Evaluations of the vector field per track, (B,)."""


class Network(Protocol):
    """A latent ODE or an LSTM: inputs at times in, one number per step out."""

    def trace(self, x: Tensor, t: Tensor, seen: Tensor, valid: Tensor) -> Trace:
        """x (B, T, F) without NaN, t (B, T), seen and valid (B, T)."""
        ...


class VectorField(nn.Module):
    """dz/dt = f(z). Time does not enter: a cell's age is part of its state, and days in the hundreds saturate tanh."""

    def __init__(self, latent_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim), nn.Tanh(), nn.Linear(hidden_dim, latent_dim)
        )
        _shrink(self.net[-1], 0.1)  # health moves slowly: start near standing still

    def forward(self, t: Tensor, z: Tensor) -> Tensor:
        """t (B,) is not used; z (B, L)."""
        derivative: Tensor = self.net(z)
        return derivative


class Bent(nn.Module):
    """A straight line plus a bend, so that what lies beyond the training range is extrapolated, not saturated."""

    def __init__(self, size_in: int, hidden_dim: int, size_out: int) -> None:
        super().__init__()
        self.line = nn.Linear(size_in, size_out)
        self.bend = nn.Sequential(nn.Linear(size_in, hidden_dim), nn.Tanh(), nn.Linear(hidden_dim, size_out))
        _shrink(self.bend[-1], 0.3)

    def forward(self, x: Tensor) -> Tensor:
        """(..., size_in) -> (..., size_out)."""
        y: Tensor = self.line(x) + self.bend(x)
        return y


class NeuralODEModel(nn.Module):
    """Maps inputs x (B, T, F) at times t, (T,) or (B, T), to an output (B, T, 1)."""

    def __init__(
        self,
        input_dim: int,
        latent_dim: int = 32,
        hidden_dim: int = 64,
        *,
        solver: str = "dopri5",
        rtol: float | None = None,
        atol: float | None = None,
        step_size: float | None = None,
        use_adjoint: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = Bent(input_dim, hidden_dim, latent_dim)
        self.field = VectorField(latent_dim, hidden_dim)
        self.gain = nn.Linear(2 * latent_dim, latent_dim)
        self.decoder = Bent(latent_dim, hidden_dim, 1)
        self.solver, self.rtol, self.atol, self.step_size = solver, rtol, atol, step_size
        tableau = find_solver(solver)
        if not tableau.is_adaptive:
            if rtol is not None or atol is not None:
                raise ValueError(
                    f"solver={solver!r} takes fixed steps, so rtol={rtol} and atol={atol} would do nothing. "
                    "Drop them, or use an adaptive solver such as 'dopri5'."
                )
            self.step_size = STEP_SIZE if step_size is None else step_size
        self.gradient: Gradient = "adjoint" if use_adjoint else "direct"

    def forward(
        self, x: Tensor, t: Tensor, seen: Tensor | None = None, valid: Tensor | None = None
    ) -> Tensor:
        """The output alone. Without `seen` and `valid` every step is real and may be used."""
        t = self._read(x, t, valid)
        everything = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        seen = everything if seen is None else seen
        valid = everything if valid is None else valid
        return self.trace(x, t, seen, valid).output[..., None]

    def _read(self, x: Tensor, t: Tensor, valid: Tensor | None) -> Tensor:
        """Times (B, T) that fit `x`; falling times are an error, not a gap of zero."""
        inputs = self.encoder.line.in_features
        if x.dim() != 3 or x.shape[-1] != inputs:
            raise ValueError(f"x has shape {tuple(x.shape)}; expected (batch, steps, {inputs} inputs).")
        if t.shape not in (x.shape[1:2], x.shape[:2]):
            raise ValueError(
                f"t has shape {tuple(t.shape)}; expected {tuple(x.shape[1:2])} or {tuple(x.shape[:2])}."
            )
        t = t.expand(x.shape[:2])
        falling = t.diff(dim=1) < 0
        falls = torch.nonzero(falling if valid is None else falling & valid[:, 1:])
        if len(falls):
            track, step = falls[0].tolist()
            raise ValueError(
                f"The time of sample {track} falls from {t[track, step].item():g} to {t[track, step + 1].item():g}. "
                "Sort each sample by time, and hide padding with `valid`."
            )
        return t

    def trace(self, x: Tensor, t: Tensor, seen: Tensor, valid: Tensor) -> Trace:
        """Walk along what is seen; what comes after a track's own last observation is solved in one go."""
        seen = seen & valid
        gaps = gaps_of(t, valid)
        last = (seen * torch.arange(x.shape[1], device=x.device)).amax(dim=1)
        walked, steps, evaluations = self._walk(self.encoder(x), gaps, seen, valid, last)
        ahead = valid & (torch.arange(x.shape[1], device=x.device) > last[:, None])
        if ahead.any():
            walked, solved = self._run_ahead(walked, gaps, ahead, last)
            goes = ahead.any(dim=1)
            steps, evaluations = steps + goes * _steps(solved), evaluations + goes * solved.stats.evaluations
        return Trace(output=self.decoder(walked)[..., 0], solver_steps=steps, evaluations=evaluations)

    def _walk(
        self, encoded: Tensor, gaps: Tensor, seen: Tensor, valid: Tensor, last: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """States (B, T, L) up to each track's last observation; what follows is filler."""
        z, started = torch.zeros_like(encoded[:, 0]), torch.zeros_like(seen[:, 0])
        steps = evaluations = torch.zeros(len(encoded), device=encoded.device)
        states = []
        for k in range(int(last.max()) + 1):
            if k:
                solved = self._flow(z, gaps[:, k : k + 1])
                moves = started & valid[:, k] & (last >= k)
                z = torch.where(moves[:, None], solved.ys[:, -1], z)
                steps, evaluations = (
                    steps + moves * _steps(solved),
                    evaluations + moves * solved.stats.evaluations,
                )
            z = self._correct(z, encoded[:, k], started, seen[:, k])
            started = started | seen[:, k]
            states.append(z)
        states += [z] * (encoded.shape[1] - len(states))
        return torch.stack(states, dim=1), steps, evaluations

    def _run_ahead(
        self, walked: Tensor, gaps: Tensor, ahead: Tensor, last: Tensor
    ) -> tuple[Tensor, Solution]:
        """Fill in the states after each track's last observation, all by one solve.

        Each track starts at its own last step, so that a track alone is solved exactly as in any batch.
        """
        tracks, steps, latent = walked.shape
        count = int(ahead.sum(dim=1).max())
        place = last[:, None] + 1 + torch.arange(count, device=walked.device)
        real = place < steps
        place = torch.where(real, place, steps - 1)
        real = real & ahead.gather(1, place)
        duration = torch.where(real, gaps.gather(1, place), SHORTEST)
        start = walked[torch.arange(tracks, device=walked.device), last]
        solved = self._flow(start, duration, real)
        into = torch.where(real, place, steps)  # one column too many takes what is not real
        wider = torch.cat([walked, walked[:, :1]], dim=1)
        filled = wider.scatter(1, into[..., None].expand(-1, -1, latent), solved.ys[:, 1:])
        return filled[:, :steps], solved

    def _correct(self, z: Tensor, encoded: Tensor, started: Tensor, seen: Tensor) -> Tensor:
        surprise = encoded - z
        corrected = z + torch.sigmoid(self.gain(torch.cat([z, surprise], dim=-1))) * surprise
        corrected = torch.where(started[:, None], corrected, encoded)
        return torch.where(seen[:, None], corrected, z)

    def _flow(self, z: Tensor, gaps: Tensor, real: Tensor | None = None) -> Solution:
        """Carry the state over consecutive gaps (B, K), those that are real."""
        times = torch.cat([torch.zeros_like(gaps[:, :1]), gaps.cumsum(dim=1)], dim=1)
        mask = None if real is None else torch.cat([torch.ones_like(real[:, :1]), real], dim=1)
        return odeint(
            self.field,
            z,
            times,
            solver=self.solver,
            rtol=self.rtol,
            atol=self.atol,
            step_size=self.step_size,
            gradient=self.gradient,
            mask=mask,
        ).require_ok()


def gaps_of(t: Tensor, valid: Tensor) -> Tensor:
    """Durations (B, T), at least `SHORTEST`; the first and those of padding are `SHORTEST`."""
    gaps = torch.diff(t.float(), dim=1, prepend=t[:, :1].float())
    return torch.where(valid, gaps, 0.0).clamp(min=SHORTEST)


def _steps(solved: Solution) -> Tensor:
    return solved.stats.accepted + solved.stats.rejected


def _shrink(layer: nn.Module, factor: float) -> None:
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.mul_(factor)
        layer.bias.mul_(factor)
