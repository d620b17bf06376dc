"""Offer torchdiffeq's signature on our solvers, so that its users change one import.

The whole state is one sample, as in torchdiffeq: it has one step size, and `f` receives a scalar time.
Users who want a step per sample, statistics and outcomes call `homeostat.ode.odeint`.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from homeostat.ode.integrate import Gradient
from homeostat.ode.integrate import odeint as solve
from homeostat.ode.solver import find_solver
from homeostat.ode.tableau import Tableau

State = Tensor | tuple[Tensor, ...]
TheirField = Callable[[Tensor, Any], Any]

# torchdiffeq's rk4 is the 3/8 rule, ours the classical method: its users get the numbers that they know.
_RK4 = Tableau(
    name="rk4 (3/8 rule)",
    order=4,
    a=((1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)),
    b=(1 / 8, 3 / 8, 3 / 8, 1 / 8),
    source="W. Kutta, Z. Math. Phys. 46 (1901) 435",
)

# torchdiffeq's names; where its method is a close relative of ours, the relative is used.
_METHODS: dict[str | None, str | Tableau] = {
    None: "dopri5",
    "dopri5": "dopri5",
    "dopri8": "dopri8",
    "tsit5": "tsit5",
    "bosh3": "bosh3",
    "adaptive_heun": "heun",
    "euler": "euler",
    "midpoint": "midpoint",
    "rk4": _RK4,
}

_CALLBACKS = tuple(
    f"callback_{event}{way}" for event in ("step", "accept_step", "reject_step") for way in ("", "_adjoint")
)


def odeint(
    func: TheirField,
    y0: Any,
    t: Tensor,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Solve for a tensor, or a tuple of tensors, of any shape; times come first in the result."""
    return _solve(func, y0, t, rtol, atol, method, options, "direct")


def odeint_adjoint(
    func: TheirField,
    y0: Any,
    t: Tensor,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    method: str | None = None,
    options: Mapping[str, Any] | None = None,
    adjoint_params: Sequence[Tensor] | None = None,
) -> Any:
    """Solve as `odeint` does; compute gradients by a solve backwards in time.

    Only `adjoint_params` get gradients. Without them, all that `func` reaches do, whether it is a module or not.
    """
    return _solve(func, y0, t, rtol, atol, method, options, "adjoint", adjoint_params)


def _solve(
    func: TheirField,
    y0: Any,
    t: Tensor,
    rtol: float,
    atol: float,
    method: str | None,
    options: Mapping[str, Any] | None,
    gradient: Gradient,
    parameters: Sequence[Tensor] | None = None,
) -> Any:
    if method not in _METHODS:
        known = ", ".join(repr(name) for name in _METHODS if name)
        raise ValueError(f"method={method!r} is not offered; choose one of {known}.")
    tableau = find_solver(_METHODS[method])
    callbacks = [name for name in _CALLBACKS if getattr(func, name, None) is not None]
    if callbacks:
        raise ValueError(
            f"func has {' and '.join(callbacks)}, and callbacks are not called here. Remove them, and read the "
            "steps from the statistics of homeostat.ode.odeint."
        )
    parts = y0 if isinstance(y0, tuple) else (y0,)
    shapes = [part.shape for part in parts]
    sizes = [part.numel() for part in parts]
    flat = torch.cat([part.reshape(-1) for part in parts])[None]

    def unflatten(states: Tensor, lead: torch.Size) -> Any:
        pieces = [
            p.reshape((*lead, *shape)) for p, shape in zip(states.split(sizes, -1), shapes, strict=True)
        ]
        return tuple(pieces) if isinstance(y0, tuple) else pieces[0]

    field = _Flattened(func, unflatten)
    if len(t) == 1:
        return unflatten(flat, t.shape)
    settings: dict[str, Any] = {}
    if tableau.is_adaptive:
        settings |= {"rtol": _carried(rtol, flat.dtype), "atol": atol, "max_steps": 2**31 - 1}
    settings |= _read_options(dict(options or {}), adaptive=tableau.is_adaptive)
    if not tableau.is_adaptive and "step_size" not in settings and len(t) == 2:
        # Here torchdiffeq takes one step; so do we, since its users may rely on it.
        settings["step_size"] = float((t[1] - t[0]).abs())
    solution = solve(
        field, flat, t, solver=tableau, gradient=gradient, backend="plain", parameters=parameters, **settings
    ).require_ok()
    return unflatten(solution.ys[0], solution.ys.shape[1:2])


class _Flattened(nn.Module):
    """A field on the flattened state of one sample; a module, so that its parameters are found."""

    def __init__(self, func: TheirField, unflatten: Callable[[Tensor, torch.Size], Any]) -> None:
        super().__init__()
        self.func, self.unflatten = func, unflatten

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        slopes = self.func(t[0].to(y.dtype), self.unflatten(y[0], torch.Size()))
        parts = slopes if isinstance(slopes, tuple) else (slopes,)
        return torch.cat([part.reshape(-1) for part in parts])[None]


def _carried(rtol: float, dtype: torch.dtype) -> float:
    floor = 10 * torch.finfo(dtype).eps
    if rtol >= floor:
        return rtol
    warnings.warn(
        f"rtol={rtol:g} is below what {str(dtype).removeprefix('torch.')} can carry; using {floor:.1e}. "
        "Pass a larger rtol, or a float64 state.",
        UserWarning,
        stacklevel=4,
    )
    return math.nextafter(floor, 1.0)


def _read_options(options: dict[str, Any], *, adaptive: bool) -> dict[str, Any]:
    """Translate the options that have a meaning here; refuse others, because ignoring them would change results."""
    names = {"max_num_steps": "max_steps"} if adaptive else {"step_size": "step_size"}
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise ValueError(f"options {unknown} are not offered for this method; known here: {sorted(names)}.")
    return {names[name]: value for name, value in options.items()}
