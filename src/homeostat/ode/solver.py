"""Take one Runge-Kutta step of a batch in which every sample has its own time and step."""

import difflib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from homeostat.ode.bosh3 import BOSH3
from homeostat.ode.dopri5 import DOPRI5
from homeostat.ode.dopri8 import DOPRI8
from homeostat.ode.euler import EULER
from homeostat.ode.heun import HEUN
from homeostat.ode.midpoint import MIDPOINT
from homeostat.ode.rk4 import RK4
from homeostat.ode.tableau import Tableau
from homeostat.ode.tsit5 import TSIT5

# t (B,), y (B, ...) -> dy/dt (B, ...)
Field = Callable[[Tensor, Tensor], Tensor]

SOLVERS = {
    "euler": EULER,
    "midpoint": MIDPOINT,
    "heun": HEUN,
    "rk4": RK4,
    "bosh3": BOSH3,
    "dopri5": DOPRI5,
    "tsit5": TSIT5,
    "dopri8": DOPRI8,
}


def find_solver(solver: str | Tableau) -> Tableau:
    if isinstance(solver, Tableau):
        return solver
    if solver in SOLVERS:
        return SOLVERS[solver]
    close = difflib.get_close_matches(str(solver), SOLVERS, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"Unknown solver {solver!r}.{hint} Known: {', '.join(SOLVERS)}.")


class Step(NamedTuple):
    """One trial step: the new state, the slopes it was made of, and the estimate of its error."""

    y1: Tensor
    slopes: tuple[Tensor, ...]
    error: Tensor | None


def per_sample(values: Tensor, state: Tensor) -> Tensor:
    """Shape and type values (B,) so that they multiply a state (B, ...)."""
    return values.to(state.dtype).reshape(-1, *(1,) * (state.dim() - 1))


def take_step(tableau: Tableau, f: Field, t: Tensor, y: Tensor, h: Tensor, slope: Tensor) -> Step:
    """Step from `y` at `t` over `h`, with the slope at the start already known."""
    width = per_sample(h, y)
    slopes = [slope]
    for node, row in zip(tableau.c[1:], tableau.a, strict=True):
        slopes.append(f(t + node * h, y + width * weighted(row, slopes)))
    y1 = y + width * weighted(tableau.b, slopes)
    slopes.append(f(t + h, y1))
    error = None if tableau.error is None else width * weighted(tableau.error, slopes)
    return Step(y1, tuple(slopes), error)


def weighted(weights: Sequence[float], slopes: Sequence[Tensor]) -> Tensor:
    """Sum weight x slope, without a pass over the slopes whose weight is zero."""
    terms = [(w, k) for w, k in zip(weights, slopes, strict=True) if w]
    (w0, k0), *rest = terms
    total = k0 if w0 == 1.0 else k0 * w0
    for w, k in rest:
        total = total.add(k, alpha=w)
    return total
