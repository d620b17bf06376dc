"""Solve a batch of initial value problems with `odeint`; each sample has its own times and its own steps."""

import functools
import logging
import math
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from homeostat.ode.adjoint import Reached, backsolve
from homeostat.ode.compiled import choose_step
from homeostat.ode.controller import Controller
from homeostat.ode.march import March
from homeostat.ode.native import try_native
from homeostat.ode.result import Solution, StartError
from homeostat.ode.solver import Field, find_solver
from homeostat.ode.tableau import Tableau
from homeostat.ode.times import Times, read_times
from homeostat.ode.unroll import unroll

_LOG = logging.getLogger("homeostat.ode")

Gradient = Literal["direct", "checkpoint", "adjoint"]
Backend = Literal["auto", "plain", "compiled", "native"]


def odeint(
    f: Field,
    y0: Tensor,
    t: Tensor,
    *,
    solver: str | Tableau = "tsit5",
    rtol: float | None = None,
    atol: float | None = None,
    step_size: float | None = None,
    max_steps: int | None = None,
    gradient: Gradient = "direct",
    mask: Tensor | None = None,
    controller: Controller | None = None,
    backend: Backend = "auto",
    parameters: Sequence[Tensor] | None = None,
) -> Solution:
    """Solve dy/dt = f(t, y) from `y0` (B, ...) and observe it at `t`, shaped (T,) or (B, T).

    `f` is given the batch's times (B,) and states (B, ...) and treats samples independently. A row of `t`
    increases, or decreases to solve backwards; it starts where its `y0` lives. `mask` (B, T), True where there
    is an observation, makes times ragged.

    Steps are adaptive under `rtol` (default 1e-4) and `atol` (1e-6), or fixed: `step_size` is the longest fixed
    step, and a method without an error estimate given no `step_size` steps from observation to observation.

    `max_steps` (default 4096) bounds the adaptive steps of each sample, rejected ones included.

    `gradient`: "direct" differentiates the steps; "checkpoint" does so with memory that grows as the square root
    of their number; "adjoint" solves backwards with memory independent of it, accurate to the tolerance only.
    `parameters` names the tensors that "adjoint" gives gradients to; by default all that the field reaches.
    `backend`: "native" is a C++ kernel for fields that are chains of linear layers, "compiled" torch.compile,
    "plain" neither; "auto" takes the fastest that applies and says so in `Solution.method`.
    """
    _require_choice("backend", backend, get_args(Backend))
    _require_gradient(gradient, parameters)
    tableau = find_solver(solver)
    y0 = _read_state(y0)
    times = read_times(t, y0, mask)
    controller = _choose_steps(tableau, times, y0, rtol, atol, step_size, controller)
    max_steps = _choose_limit(max_steps, controller is not None)
    # A solver's error control is meaningless on half-precision slopes.
    with torch.autocast(y0.device.type, enabled=False):
        march = March(
            tableau=tableau,
            controller=controller,
            step_size=step_size,
            times=times,
            max_steps=max_steps,
        )
        outcome = try_native(f, y0, march, gradient, backend)
        if isinstance(outcome, Solution):
            _announce(outcome.method)
            return outcome
        step, method = choose_step(backend, controller is not None, outcome)
        _announce(method)
        field = f if times.dtype == times.t.dtype else _in_precision(f, times.dtype)
        if gradient == "adjoint" and torch.is_grad_enabled():
            owned = list(f.parameters()) if isinstance(f, nn.Module) else []
            return backsolve(field, y0, march, step, method, Reached(owned, parameters))
        return unroll(field, march, y0, gradient, step, method)


def _in_precision(f: Field, dtype: torch.dtype) -> Field:
    """Give the field its times as it expects them; inside they are kept in double precision."""

    def field(t: Tensor, y: Tensor) -> Tensor:
        return f(t.to(dtype), y)

    return field


@functools.cache
def _announce(method: str) -> None:
    """Note once how solves run here and why; how fast they are depends on it."""
    _LOG.info("odeint runs %s", method)


def _require_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(map(repr, known))}.")


def _require_gradient(gradient: str, parameters: Sequence[Tensor] | None) -> None:
    _require_choice("gradient", gradient, get_args(Gradient))
    if parameters is not None and gradient != "adjoint":
        raise ValueError(f"parameters would do nothing: gradient={gradient!r} reaches every tensor. Drop it.")


def _read_state(y0: Tensor) -> Tensor:
    if not isinstance(y0, Tensor) or not y0.is_floating_point() or y0.dim() == 0:
        kind = f"{y0.dtype} of shape {tuple(y0.shape)}" if isinstance(y0, Tensor) else type(y0).__name__
        raise TypeError(f"y0 is {kind}; expected a float tensor (batch, ...).")
    if not y0.numel():
        raise ValueError(
            f"y0 has shape {tuple(y0.shape)}: there is nothing to solve. Skip the solve for an empty batch."
        )
    if y0.dtype in (torch.float16, torch.bfloat16):
        y0 = y0.float()
    finite = torch.isfinite(y0.detach())
    if not bool(finite.all()):
        bad = torch.nonzero(~finite.reshape(len(y0), -1).all(dim=1)).flatten().tolist()
        raise StartError(
            f"y0 of sample {bad[0]} is not finite ({len(bad)} of {len(y0)} samples); "
            "a solve cannot start there. Look at what produced it."
        )
    return y0


def _choose_limit(max_steps: int | None, is_adaptive: bool) -> int:
    if max_steps is None:
        return 4096
    if not is_adaptive:
        raise ValueError(
            f"max_steps={max_steps} would do nothing: the number of fixed steps follows from step_size."
        )
    if max_steps < 1:
        raise ValueError(f"max_steps={max_steps} must be at least 1.")
    return max_steps


def _choose_steps(
    tableau: Tableau,
    times: Times,
    y0: Tensor,
    rtol: float | None,
    atol: float | None,
    step_size: float | None,
    controller: Controller | None,
) -> Controller | None:
    """Return the error control, or None for fixed steps; refuse settings that would do nothing."""
    tolerances = {"rtol": rtol, "atol": atol, "controller": controller}
    given = [name for name, value in tolerances.items() if value is not None]
    if step_size is not None and not (step_size > 0 and math.isfinite(step_size)):
        raise ValueError(f"step_size={step_size} must be a positive length; direction comes from t.")
    if not tableau.is_adaptive or step_size is not None:
        why = (
            "has no error estimate"
            if not tableau.is_adaptive
            else "was given step_size, so its steps are fixed"
        )
        if given:
            raise ValueError(
                f"{' and '.join(given)} would do nothing: {tableau.name} {why}. "
                f"Drop {' and '.join(given)}, or use an adaptive method (tsit5) without step_size."
            )
        if step_size is None and times.t.shape[1] == 2:
            raise ValueError(
                f"{tableau.name} takes fixed steps and t has two times, so it would cross the whole span in one. "
                "Give step_size, or use an adaptive method (tsit5)."
            )
        return None
    if controller is not None and len(given) > 1:
        raise ValueError(f"{' and '.join(given)} overlap: the controller carries rtol and atol.")
    defaults = Controller()
    controller = controller or Controller(
        rtol=defaults.rtol if rtol is None else rtol, atol=defaults.atol if atol is None else atol
    )
    floor = 10 * torch.finfo(y0.dtype).eps
    if controller.rtol < floor:
        dtype = str(y0.dtype).removeprefix("torch.")
        remedy = "at least 1e-5, or y0.double()" if y0.dtype == torch.float32 else "at least 1e-14"
        raise ValueError(
            f"rtol={controller.rtol:g} is below what {dtype} can carry ({floor:.1e} = 10 eps): steps would be "
            f"rejected for rounding. Use rtol of {remedy}."
        )
    return controller
