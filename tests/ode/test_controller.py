"""The step is as long as the tolerance allows, and tolerances that cannot mean anything are refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from homeostat.ode import SOLVERS, Controller, odeint
from homeostat.ode.controller import first_step
from ode.problems import bent, kepler, kepler_exact

ADAPTIVE = [name for name, tableau in SOLVERS.items() if tableau.is_adaptive]


def norms(*values: float) -> tuple[Tensor, Tensor, Tensor]:
    now, before, earlier = (torch.tensor([value], dtype=torch.double) for value in values)
    return now, before, earlier


@pytest.mark.parametrize("order", [2, 5, 8])
def test_the_integral_law_predicts_the_error_it_will_make(order: int) -> None:
    """error ~ h^order, so a step stretched by the factor has the error safety^order."""
    factor = Controller().factor(norms(0.5, 1.0, 1.0), order)
    assert float(0.5 * factor**order) == pytest.approx(0.9**order)


def test_the_factor_stays_within_its_bounds() -> None:
    controller = Controller(min_factor=0.3, max_factor=4.0)
    assert float(controller.factor(norms(1e-30, 1, 1), 5)) == 4.0
    assert float(controller.factor(norms(1e30, 1, 1), 5)) == 0.3
    assert float(controller.factor(norms(torch.nan, 1, 1), 5)) == 0.3
    assert float(controller.factor(norms(torch.inf, 1, 1), 5)) == 0.3


def test_a_growing_error_shortens_the_step_more_under_proportional_gain() -> None:
    growing, steady = norms(0.8, 0.2, 0.2), norms(0.8, 0.8, 0.8)
    pid = Controller(p=0.3, i=0.4, d=0.1)
    assert float(pid.factor(growing, 5)) < float(pid.factor(steady, 5))
    integral = Controller()
    assert float(integral.factor(growing, 5)) == float(integral.factor(steady, 5))


def test_the_norm_is_one_exactly_at_the_tolerance_and_per_sample() -> None:
    controller = Controller(rtol=1e-2, atol=1e-3)
    y0, y1 = torch.tensor([[1.0, -2.0], [0.0, 0.0]]), torch.tensor([[3.0, 1.0], [0.0, 0.0]])
    tolerance = torch.tensor([[0.031, 0.021], [0.001, 0.001]])
    torch.testing.assert_close(controller.norm(tolerance, y0, y1), torch.ones(2))
    torch.testing.assert_close(controller.norm(-2 * tolerance, y0, y1), torch.full((2,), 2.0))


@pytest.mark.parametrize("bad", [{"rtol": -1e-3}, {"rtol": 0.0, "atol": 0.0}, {"atol": float("nan")}])
def test_tolerances_that_mean_nothing_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must not be negative, nor both zero"):
        Controller(**bad)


@pytest.mark.parametrize("bad", [{"safety": 1.0}, {"safety": 0.0}, {"min_factor": 1.0}, {"max_factor": 0.9}])
def test_factors_that_could_not_shrink_or_grow_a_step_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\), max_factor=[\d.]+ at or above 1"):
        Controller(**bad)


def test_the_first_step_points_along_the_span_and_stays_inside_it() -> None:
    t = torch.zeros(3, dtype=torch.double)
    y = torch.ones(3, 2, dtype=torch.double)
    span = torch.tensor([5.0, -5.0, 1e-9], dtype=torch.double)
    h = first_step(Controller(), SOLVERS["tsit5"], bent, t, y, bent(t, y), span)
    assert h.sign().tolist() == [1, -1, 1]
    assert bool((h.abs() <= span.abs()).all())


def test_a_faster_field_starts_with_a_shorter_step() -> None:
    t, y = torch.zeros(2, dtype=torch.double), torch.ones(2, 1, dtype=torch.double)

    def field(t: Tensor, y: Tensor) -> Tensor:
        return -torch.tensor([[1.0], [100.0]], dtype=torch.double) * y

    slow, fast = first_step(
        Controller(), SOLVERS["tsit5"], field, t, y, field(t, y), torch.full_like(t, 9.0)
    ).tolist()
    assert slow > 1.5 * fast


def test_a_field_that_is_zero_gets_a_finite_first_step() -> None:
    t, y = torch.zeros(1), torch.zeros(1, 2)
    h = first_step(Controller(), SOLVERS["tsit5"], bent, t, y, torch.zeros_like(y), torch.ones(1))
    assert 0 < float(h) <= 1


@pytest.mark.parametrize("solver", ADAPTIVE)
def test_the_error_follows_the_tolerance(solver: str) -> None:
    """A hundredth of the tolerance, about a hundredth of the error."""
    exact = kepler_exact(0.3, 6.0)
    t = torch.tensor([0.0, 6.0], dtype=torch.double)
    loose, tight = (
        float(
            (
                odeint(kepler, kepler_exact(0.3, 0.0), t, solver=solver, rtol=tol, atol=tol).ys[:, -1] - exact
            ).norm()
        )
        for tol in (1e-4, 1e-6)
    )
    assert 30 < loose / tight < 1000
    assert tight < 2e-4


def test_gains_reach_the_solve_and_keep_its_accuracy() -> None:
    exact = kepler_exact(0.6, 6.0)
    t = torch.tensor([0.0, 6.0], dtype=torch.double)
    pid = Controller(rtol=1e-8, atol=1e-8, p=0.2, i=0.4, d=0.05)
    solution = odeint(kepler, kepler_exact(0.6, 0.0), t, controller=pid)
    plain = odeint(kepler, kepler_exact(0.6, 0.0), t, rtol=1e-8, atol=1e-8)
    assert float((solution.ys[:, -1] - exact).norm()) < 1e-5
    assert not torch.equal(solution.ys, plain.ys)
