"""Between its steps a solve is as good as at them: dense output has an order, no jumps, and hits every time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from homeostat.ode import SOLVERS, Tableau, odeint
from homeostat.ode.interpolate import observe
from homeostat.ode.march import Stride
from homeostat.ode.solver import take_step
from homeostat.ode.times import Times
from ode.problems import bent, kepler, kepler_exact, swing

every_solver = pytest.mark.parametrize("tableau", SOLVERS.values(), ids=list(SOLVERS))

# Of the interpolant within one step: its local error is one order higher. Hermite's cubic has degree three.
DENSE_ORDER = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 3, "bosh3": 3, "dopri5": 4, "tsit5": 4}


def strides_of(tableau: Tableau, y: Tensor, ends: list[float]) -> list[Stride]:
    """Steps of `bent` from time 0 to each end in turn."""
    t = torch.zeros(len(y), dtype=y.dtype)
    slope, strides = bent(t, y), []
    for end in ends:
        t1 = torch.full_like(t, end)
        step = take_step(tableau, bent, t, y, t1 - t, slope)
        strides.append(Stride(t, t1, t1 - t, y, step.y1, step.slopes))
        t, y, slope = t1, step.y1, step.slopes[-1]
    return strides


def times_of(*values: float) -> Times:
    t = torch.tensor([values], dtype=torch.double)
    return Times(t=t, mask=torch.ones_like(t, dtype=torch.bool), dtype=t.dtype)


@every_solver
def test_dense_output_has_its_order(tableau: Tableau) -> None:
    """Within a step of length h the interpolant's error falls as h^(order + 1)."""
    if tableau.lands_on_times:
        pytest.skip(f"{tableau.name} lands on its observation times and interpolates nothing.")
    y0 = torch.tensor([[0.9, -0.4, 0.3]], dtype=torch.double)
    errors = []
    for h in (0.2, 0.1):
        inside = [0.0, 0.31 * h, 0.5 * h, 0.77 * h, h]
        t = torch.tensor([inside], dtype=torch.double)
        values, covered = observe(tableau, times_of(*inside), strides_of(tableau, y0, [h]), landed=False)
        truth = odeint(bent, y0, t, solver="dopri8", rtol=1e-13, atol=1e-14).ys
        assert covered.tolist() == [[False, True, True, True, True]]
        errors.append(float((values - truth)[:, 1:].norm()))
    observed = torch.tensor(errors[0] / errors[1]).log2()
    assert float(observed) > DENSE_ORDER[tableau.name] + 1 - 0.4


@every_solver
def test_dense_output_is_continuous_across_steps(tableau: Tableau) -> None:
    y0 = torch.randn(1, 3, dtype=torch.double)
    strides = strides_of(tableau, y0, [0.3, 0.5, 1.1])
    tiny = 1e-9
    around = times_of(0.0, 0.3 - tiny, 0.3, 0.3 + tiny, 0.5 - tiny, 0.5, 0.5 + tiny, 1.1)
    values, _ = observe(tableau, around, strides, landed=False)
    for left, here, right in ((1, 2, 3), (4, 5, 6)):
        torch.testing.assert_close(values[:, left], values[:, here], rtol=0, atol=1e-8)
        torch.testing.assert_close(values[:, right], values[:, here], rtol=0, atol=1e-8)


def test_a_step_s_end_is_the_step_to_the_last_digits() -> None:
    for tableau in SOLVERS.values():
        strides = strides_of(tableau, torch.randn(1, 3, dtype=torch.double), [0.3, 0.5])
        values, covered = observe(tableau, times_of(0.0, 0.3, 0.5), strides, landed=False)
        torch.testing.assert_close(values[:, 1], strides[0].y1, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(values[:, 2], strides[1].y1, rtol=1e-13, atol=1e-13)
        assert covered.tolist() == [[False, True, True]]


def test_times_beyond_the_strides_are_not_covered() -> None:
    strides = strides_of(SOLVERS["tsit5"], torch.randn(1, 3, dtype=torch.double), [0.3])
    _, covered = observe(SOLVERS["tsit5"], times_of(0.0, 0.3, 0.31, 2.0), strides, landed=False)
    assert covered.tolist() == [[False, True, False, False]]


@every_solver
def test_fixed_steps_observe_between_their_grid_as_well_as_on_it(tableau: Tableau) -> None:
    """Observed off its grid, a fixed-step solve loses no order: the error there falls as it does at the end."""
    y0 = kepler_exact(0.2, 0.0)
    t = torch.tensor([0.0, 0.437, 1.013, 1.9], dtype=torch.double)
    exact = torch.cat([kepler_exact(0.2, float(when)) for when in t])
    errors = []
    for count in (40, 80):
        ys = odeint(kepler, y0, t, solver=tableau, step_size=1.9 / count).ys[0]
        errors.append(float((ys - exact)[1:].norm()))
    assert errors[1] < max(errors[0] / 2 ** (tableau.order - 0.6), 1e-13)  # dopri8 is at rounding here


@pytest.mark.parametrize("solver", ["bosh3", "dopri5", "tsit5", "dopri8", "heun"])
def test_adaptive_steps_observe_within_the_tolerance_everywhere(solver: str) -> None:
    t = torch.linspace(0, 3.0, 49, dtype=torch.double)
    y0 = torch.tensor([[1.0, 0.0]], dtype=torch.double)
    ys = odeint(swing, y0, t, solver=solver, rtol=1e-5, atol=1e-5).ys[0]
    exact = torch.stack([torch.cos(t), -torch.sin(t)], dim=1)
    at_the_end = float((ys - exact)[-1].abs().max())
    assert float((ys - exact).abs().max()) < 10 * max(at_the_end, 1e-5)


def test_more_observations_do_not_change_the_steps() -> None:
    y0 = kepler_exact(0.3, 0.0)
    few = odeint(kepler, y0, torch.tensor([0.0, 5.0], dtype=torch.double))
    many = odeint(kepler, y0, torch.linspace(0, 5, 200, dtype=torch.double))
    assert torch.equal(few.stats.evaluations, many.stats.evaluations)
    torch.testing.assert_close(few.ys[:, -1], many.ys[:, -1], rtol=1e-13, atol=1e-13)
