"""A step of Runge-Kutta is of fourth order."""

import numpy as np
import pytest

from homeostat.data.simulation import rk4


def test_half_the_step_has_a_thirtieth_of_the_error():
    def error(steps):
        state = np.ones(1)
        for _ in range(steps):
            state = rk4(lambda x: -x, state, 1 / steps)
        return abs(state[0] - np.exp(-1))

    assert error(8) / error(16) == pytest.approx(16, rel=0.1)
