"""Run the adaptive step through torch.compile, for fields that the native kernel cannot solve.

Only `backend="compiled"` switches it on, and never in mid-run: compiled and plain arithmetic round differently, and a
choice that depended on elapsed time would break the promise that a resumed run is equal bit for bit.
"""

import functools

import torch
from torch import Tensor

from homeostat.ode.march import Iterate, iterate


def choose_step(backend: str, adaptive: bool, why_not_native: str) -> tuple[Iterate, str]:
    """Return the trial step and a sentence on how it runs."""
    if backend != "compiled":
        return iterate, f"plain: {why_not_native}"
    obstacle = compiler_obstacle() if adaptive else "it compiles adaptive steps, and these are fixed"
    if obstacle:
        raise ValueError(f"backend='compiled' cannot solve this: {obstacle}. Use backend='auto'.")
    return _compiled(), "compiled: the step goes through torch.compile, as asked"


@functools.cache
def compiler_obstacle() -> str:
    """Say why torch.compile does not work here, or return an empty text; one trial answers for the process."""

    def probe(x: Tensor) -> Tensor:
        return x.sin() + 1

    try:
        torch.compile(probe)(torch.zeros(2))
    except Exception as error:  # noqa: BLE001  the compiler's failures have no common type
        first = next(iter(str(error).splitlines()), "")
        return f"torch.compile does not work on this machine ({type(error).__name__}: {first})"
    return ""


@functools.cache
def _compiled() -> Iterate:
    return torch.compile(iterate, dynamic=False)
