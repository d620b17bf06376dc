"""Choose the length of each step: PID control of the error, and a rule for the first step.

The control is that of Soderlind 2003 (ACM Transactions on Mathematical Software 29:1); the rule is that of Hairer,
Norsett and Wanner, Solving Ordinary Differential Equations I, section II.4.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from homeostat.ode.solver import Field, per_sample
from homeostat.ode.tableau import Tableau


@dataclass(frozen=True, kw_only=True)
class Controller:
    """Tolerances and gains. An error norm of 1 is exactly the tolerated error."""

    rtol: float = 1e-4
    atol: float = 1e-6
    # These three are torchdiffeq's (safety, dfactor, ifactor).
    safety: float = 0.9
    min_factor: float = 0.2
    max_factor: float = 10.0
    p: float = 0.0
    """Gain on the change of the error since the last accepted step; damps oscillating steps on stiff problems."""
    i: float = 1.0
    d: float = 0.0

    def __post_init__(self) -> None:
        if not (self.rtol >= 0 and self.atol >= 0 and self.rtol + self.atol > 0):
            raise ValueError(f"rtol={self.rtol} and atol={self.atol} must not be negative, nor both zero.")
        if not 0 < self.safety < 1 <= self.max_factor or not 0 < self.min_factor < 1:
            raise ValueError(
                f"safety={self.safety} and min_factor={self.min_factor} must lie in (0, 1), "
                f"max_factor={self.max_factor} at or above 1."
            )

    def norm(self, error: Tensor, y0: Tensor, y1: Tensor) -> Tensor:
        """Return the root mean square of error / tolerance, per sample."""
        tolerance = self.atol + self.rtol * torch.maximum(y0.abs(), y1.abs())
        return (error / tolerance).reshape(len(error), -1).square().mean(1).sqrt()

    def factor(self, norms: tuple[Tensor, Tensor, Tensor], order: int) -> Tensor:
        """Return the ratio of next step to this one, from the error norms of this step and of the two before it.

        The error estimate of a pair grows as step^order, so an integral gain of 1 alone is the textbook exponent.
        """
        # A norm of zero (a linear field, an exact step) would make the factor infinite.
        now, before, earlier = (norm.clamp_min(1e-10) for norm in norms)
        gains = (self.p + self.i + self.d, -(self.p + 2 * self.d), self.d)
        exponents = [-gain / order for gain in gains]
        factor = self.safety * now ** exponents[0]
        if exponents[1]:
            factor = factor * before ** exponents[1]
        if exponents[2]:
            factor = factor * earlier ** exponents[2]
        # A non-finite norm is a step far too long, not an unknown one.
        return factor.nan_to_num(nan=0.0, posinf=self.max_factor).clamp(self.min_factor, self.max_factor)


def first_step(
    controller: Controller, tableau: Tableau, f: Field, t: Tensor, y: Tensor, slope: Tensor, span: Tensor
) -> Tensor:
    """Return signed first steps, at most `span`, at the price of one evaluation.

    The constants are those of Hairer, Norsett and Wanner (section II.4, starting step size). A second derivative is
    estimated over a short Euler step; the step h solves h^(order + 1) times the larger derivative = 0.01.
    """
    scale = controller.atol + controller.rtol * y.abs()

    def size(x: Tensor) -> Tensor:
        return (x / scale).reshape(len(y), -1).square().mean(1).sqrt().to(t.dtype)

    d0, d1 = size(y), size(slope)
    guess = torch.where((d0 < 1e-5) | (d1 < 1e-5), torch.full_like(d0, 1e-6), 0.01 * d0 / d1)
    guess = torch.minimum(guess, span.abs())
    nudge = guess * span.sign()
    moved = f(t + nudge, y + per_sample(nudge, y) * slope)
    d2 = size(moved - slope) / guess.clamp_min(1e-30)
    largest = torch.maximum(d1, d2)
    flat = largest <= 1e-15
    second = torch.where(
        flat, (guess * 1e-3).clamp_min(1e-6), (0.01 / largest.clamp_min(1e-30)) ** (1 / (tableau.order + 1))
    )
    return torch.minimum(torch.minimum(100 * guess, second), span.abs()).nan_to_num(nan=0.0) * span.sign()
