"""Steps of a known vector field in NumPy, for simulators whose truth must not depend on the solvers under test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from homeostat.data.ragged import Array


def rk4(field: Callable[[Array], Array], state: Array, step: float) -> Array:
    """The state one step later, by the classical method of Runge and Kutta."""
    k1 = field(state)
    k2 = field(state + step / 2 * k1)
    k3 = field(state + step / 2 * k2)
    k4 = field(state + step * k3)
    return np.asarray(state + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4))
