"""Initial value problems that the tests of several modules solve: known solutions, DETEST, small networks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Field = Callable[[Tensor, Tensor], Tensor]


def decay(t: Tensor, y: Tensor) -> Tensor:
    return -y


def swing(t: Tensor, y: Tensor) -> Tensor:
    """Turns with angular speed 1, so that every sample comes back after 2 pi."""
    return torch.stack([y[:, 1], -y[:, 0]], dim=1)


def bent(t: Tensor, y: Tensor) -> Tensor:
    """Nonlinear and dependent on time, smooth, and different for every component."""
    return torch.sin(y.roll(1, dims=1)) * torch.cos(t)[:, None] - 0.3 * y


def kepler(t: Tensor, y: Tensor) -> Tensor:
    place, velocity = y.chunk(2, dim=1)
    return torch.cat([velocity, -place / place.norm(dim=1, keepdim=True) ** 3], dim=1)


def kepler_exact(eccentricity: float, t: float) -> Tensor:
    """Position and velocity at `t` of the orbit that starts at its nearest point, from Kepler's equation."""
    angle = t
    for _ in range(60):
        angle -= (angle - eccentricity * math.sin(angle) - t) / (1 - eccentricity * math.cos(angle))
    root = math.sqrt(1 - eccentricity**2)
    speed = 1 / (1 - eccentricity * math.cos(angle))
    state = [
        math.cos(angle) - eccentricity,
        root * math.sin(angle),
        -math.sin(angle) * speed,
        root * math.cos(angle) * speed,
    ]
    return torch.tensor([state], dtype=torch.double)


class Counted:
    """A field that counts how often it is evaluated, and how often its derivative is pulled."""

    def __init__(self, f: Field) -> None:
        self.f = f
        self.calls = 0
        self.pulls = 0

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        self.calls += 1
        slope = self.f(t, y)
        if slope.requires_grad:
            slope.register_hook(self._pulled)
        return slope

    def _pulled(self, _: Tensor) -> None:
        self.pulls += 1


class Network(nn.Module):
    """A small learned field; with `timed` it sees the time as the last input."""

    def __init__(self, dim: int = 3, hidden: int = 8, *, timed: bool = True) -> None:
        super().__init__()
        self.timed = timed
        self.net = nn.Sequential(
            nn.Linear(dim + timed, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, dim),
        )

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([y, t[:, None]], dim=-1) if self.timed else y)


@dataclass(frozen=True)
class Problem:
    """A problem of DETEST (Hull, Enright, Fellen, Sedgwick 1972) in its batched form."""

    name: str
    f: Field
    y0: tuple[float, ...]


def _a5(t: Tensor, y: Tensor) -> Tensor:
    return (y - t[:, None]) / (y + t[:, None])


def _b1(t: Tensor, y: Tensor) -> Tensor:
    a, b = y.unbind(1)
    return torch.stack([2 * (a - a * b), -(b - a * b)], dim=1)


def _b2(t: Tensor, y: Tensor) -> Tensor:
    a, b, c = y.unbind(1)
    return torch.stack([-a + b, a - 2 * b + c, b - c], dim=1)


def _b4(t: Tensor, y: Tensor) -> Tensor:
    a, b, c = y.unbind(1)
    r = torch.sqrt(a * a + b * b)
    return torch.stack([-b - a * c / r, a - b * c / r, a / r], dim=1)


def _b5(t: Tensor, y: Tensor) -> Tensor:
    a, b, c = y.unbind(1)
    return torch.stack([b * c, -a * c, -0.51 * a * b], dim=1)


def _c1(t: Tensor, y: Tensor) -> Tensor:
    gain = torch.cat([torch.zeros_like(y[:, :1]), y[:, :-1]], dim=1)
    loss = torch.cat([y[:, :-1], torch.zeros_like(y[:, :1])], dim=1)
    return gain - loss


def _e1(t: Tensor, y: Tensor) -> Tensor:
    a, b = y.unbind(1)
    return torch.stack([b, -(b / (t + 1) + (1 - 0.25 / (t + 1) ** 2) * a)], dim=1)


def _e2(t: Tensor, y: Tensor) -> Tensor:
    a, b = y.unbind(1)
    return torch.stack([b, (1 - a * a) * b - a], dim=1)


def _e3(t: Tensor, y: Tensor) -> Tensor:
    a, b = y.unbind(1)
    return torch.stack([b, a**3 / 6 - a + 2 * torch.sin(2.78535 * t)], dim=1)


def _orbit(eccentricity: float) -> tuple[float, ...]:
    return (1 - eccentricity, 0.0, 0.0, math.sqrt((1 + eccentricity) / (1 - eccentricity)))


DETEST = [
    Problem("A1", decay, (1.0,)),
    Problem("A2", lambda t, y: -(y**3) / 2, (1.0,)),
    Problem("A3", lambda t, y: y * torch.cos(t)[:, None], (1.0,)),
    Problem("A4", lambda t, y: y / 4 * (1 - y / 20), (1.0,)),
    Problem("A5", _a5, (4.0,)),
    Problem("B1", _b1, (1.0, 3.0)),
    Problem("B2", _b2, (2.0, 0.0, 1.0)),
    Problem("B4", _b4, (3.0, 0.0, 0.0)),
    Problem("B5", _b5, (0.0, 1.0, 1.0)),
    Problem("C1", _c1, (1.0, *(0.0,) * 9)),
    Problem("D1", kepler, _orbit(0.1)),
    Problem("D3", kepler, _orbit(0.5)),
    Problem("E1", _e1, (0.6713967071418030, 0.09540051444747446)),
    Problem("E2", _e2, (2.0, 0.0)),
    Problem("E3", _e3, (0.0, 0.0)),
]
