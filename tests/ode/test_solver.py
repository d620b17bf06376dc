"""One generic step has the order that its tableau declares, whatever the tableau."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from homeostat.ode import SOLVERS, Tableau, odeint
from homeostat.ode.solver import find_solver, per_sample, take_step, weighted
from ode.problems import bent, kepler, kepler_exact

every_solver = pytest.mark.parametrize("tableau", SOLVERS.values(), ids=list(SOLVERS))

# Steps over the span of the coarsest solve: so many that the leading term of the error rules, so few that
# rounding does not.
STEPS = {
    "euler": 512,
    "midpoint": 128,
    "heun": 128,
    "bosh3": 64,
    "rk4": 48,
    "dopri5": 32,
    "tsit5": 32,
    "dopri8": 20,
}


def fixed_steps(tableau: Tableau, f: object, y: Tensor, start: float, end: float, count: int) -> Tensor:
    grid = torch.linspace(start, end, count + 1, dtype=torch.double)
    return odeint(f, y, grid[[0, -1]], solver=tableau, step_size=(end - start) / count).ys[:, -1]  # type: ignore[arg-type]


def slope_of(errors: list[float], counts: list[int]) -> float:
    """Least-squares slope of -log error against log steps."""
    x = torch.tensor(counts, dtype=torch.double).log()
    y = torch.tensor(errors, dtype=torch.double).log()
    x, y = x - x.mean(), y - y.mean()
    return -float((x * y).sum() / (x * x).sum())


@every_solver
def test_observed_order_is_the_declared_order(tableau: Tableau) -> None:
    exact = kepler_exact(0.3, 3.0)
    counts = [round(STEPS[tableau.name] * factor) for factor in (1, 1.4, 2, 2.8)]
    y0 = kepler_exact(0.3, 0.0)
    errors = [float((fixed_steps(tableau, kepler, y0, 0.0, 3.0, n) - exact).norm()) for n in counts]
    assert max(errors) < 0.2
    assert slope_of(errors, counts) == pytest.approx(tableau.order, abs=0.35)


@every_solver
def test_observed_order_holds_where_the_field_depends_on_time(tableau: Tableau) -> None:
    def field(t: Tensor, y: Tensor) -> Tensor:
        return y * (torch.cos(t) + 0.5 * torch.sin(2 * t))[:, None]

    y0 = torch.ones(1, 1, dtype=torch.double)
    exact = math.exp(math.sin(2.0) + math.sin(2.0) ** 2 / 2)
    counts = [round(STEPS[tableau.name] / 2 * factor) for factor in (1, 1.4, 2, 2.8)]
    errors = [abs(float(fixed_steps(tableau, field, y0, 0.0, 2.0, n)) - exact) for n in counts]
    assert slope_of(errors, counts) > tableau.order - 0.35


@every_solver
def test_a_step_of_a_batch_is_each_sample_s_own_step(tableau: Tableau) -> None:
    t = torch.tensor([0.0, 0.7, -2.0], dtype=torch.double)
    h = torch.tensor([0.1, -0.3, 0.02], dtype=torch.double)
    y = torch.randn(3, 4, dtype=torch.double)
    batch = take_step(tableau, bent, t, y, h, bent(t, y))
    for index in range(3):
        row = slice(index, index + 1)
        alone = take_step(tableau, bent, t[row], y[row], h[row], bent(t[row], y[row]))
        torch.testing.assert_close(batch.y1[row], alone.y1, rtol=1e-14, atol=1e-14)
        assert len(alone.slopes) == len(tableau.b) + 1


@every_solver
def test_the_last_slope_is_the_next_step_s_first(tableau: Tableau) -> None:
    t, h = torch.zeros(2, dtype=torch.double), torch.full((2,), 0.1, dtype=torch.double)
    y = torch.randn(2, 3, dtype=torch.double)
    step = take_step(tableau, bent, t, y, h, bent(t, y))
    assert torch.equal(step.slopes[-1], bent(t + h, step.y1))


def test_a_step_of_length_zero_stays() -> None:
    t, y = torch.zeros(2), torch.randn(2, 3)
    for tableau in SOLVERS.values():
        assert torch.equal(take_step(tableau, bent, t, y, torch.zeros(2), bent(t, y)).y1, y)


def test_weighted_skips_the_slopes_whose_weight_is_zero() -> None:
    slopes = [torch.ones(2), torch.full((2,), torch.nan), torch.full((2,), 3.0)]
    assert weighted((0.5, 0.0, 2.0), slopes).tolist() == [6.5, 6.5]


def test_per_sample_takes_the_dtype_and_rank_of_the_state() -> None:
    values = per_sample(torch.tensor([1.0, 2.0], dtype=torch.double), torch.zeros(2, 3, 4))
    assert values.dtype == torch.float32
    assert values.shape == (2, 1, 1)


def test_an_unknown_solver_is_answered_with_the_nearest_and_the_known() -> None:
    with pytest.raises(
        ValueError, match=r"Unknown solver 'dorpi5'\. Did you mean 'dopri5'\? Known: euler, midpoint"
    ):
        find_solver("dorpi5")
    with pytest.raises(ValueError, match=r"Unknown solver 'xyz'\. Known: euler"):
        find_solver("xyz")
