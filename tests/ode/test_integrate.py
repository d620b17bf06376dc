"""The laws of `odeint`, whatever the method: each sample on its own, every time honoured, every failure reported."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from homeostat.ode import SOLVERS, Controller, Result, SolverError, odeint
from homeostat.ode.build import Library, load_library
from ode.problems import DETEST, Counted, Network, Problem, bent, decay, kepler, kepler_exact, swing

every_solver = pytest.mark.parametrize("solver", list(SOLVERS))
ADAPTIVE = [name for name, tableau in SOLVERS.items() if tableau.is_adaptive]


def settings(solver: str, step_size: float = 0.02) -> dict[str, Any]:
    """Tolerances that the method can reach in a moment, or steps where it has no tolerances."""
    tableau = SOLVERS[solver]
    tolerance = {2: 1e-5, 3: 1e-6}.get(tableau.order, 1e-7)
    return {"rtol": tolerance, "atol": tolerance} if tableau.is_adaptive else {"step_size": step_size}


def ragged() -> tuple[Tensor, Tensor]:
    """Four samples: forwards, backwards, standing still, and short with repeated times; with their mask."""
    t = torch.tensor(
        [
            [0.0, 0.5, 1.3, 2.0, 2.7],
            [3.0, 2.9, 1.0, 0.2, -9.0],
            [1.0, 1.0, 1.0, 1.0, 1.0],
            [-1.0, -1.0, -0.6, -0.6, torch.nan],
        ],
        dtype=torch.double,
    )
    mask = torch.ones_like(t, dtype=torch.bool)
    mask[1, 4] = mask[3, 4] = mask[0, 2] = False
    return t, mask


# ---- reference solutions


@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dopri8"])
@pytest.mark.parametrize("problem", DETEST, ids=lambda problem: problem.name)
def test_nonstiff_detest_problems_agree_with_scipy(problem: Problem, solver: str) -> None:
    def flat(t: float, y: np.ndarray) -> np.ndarray:
        return problem.f(torch.tensor([t], dtype=torch.double), torch.from_numpy(y)[None])[0].numpy()

    when = np.linspace(0, 12, 5)
    truth = solve_ivp(flat, (0, 12), problem.y0, method="DOP853", rtol=1e-12, atol=1e-13, t_eval=when).y.T
    y0 = torch.tensor([problem.y0], dtype=torch.double)
    solution = odeint(problem.f, y0, torch.from_numpy(when), solver=solver, rtol=1e-7, atol=1e-7).require_ok()
    error = np.abs(solution.ys[0].numpy() - truth).max()
    assert error < 300 * 1e-7


@every_solver
def test_every_method_solves_what_can_be_solved_on_paper(solver: str) -> None:
    t = torch.tensor([0.0, 0.4, 1.0], dtype=torch.double)
    y0 = torch.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=torch.double)
    ys = odeint(decay, y0, t, solver=solver, **settings(solver, 0.005)).ys
    exact = y0[:, None] * torch.exp(-t)[:, None]
    torch.testing.assert_close(ys, exact, rtol=5e-3 if solver == "euler" else 1e-5, atol=0)


# ---- a batch is each sample alone


@every_solver
def test_a_batch_is_each_sample_alone(solver: str) -> None:
    t, mask = ragged()
    y0 = torch.randn(4, 3, dtype=torch.double) * torch.tensor(
        [[1.0], [3.0], [1.0], [0.1]], dtype=torch.double
    )
    batch = odeint(bent, y0, t, mask=mask, solver=solver, **settings(solver))
    for index in range(4):
        row = slice(index, index + 1)
        alone = odeint(bent, y0[row], t[row], mask=mask[row], solver=solver, **settings(solver))
        torch.testing.assert_close(batch.ys[row], alone.ys, rtol=1e-12, atol=1e-13)
        for name in ("evaluations", "accepted", "rejected"):
            assert torch.equal(getattr(batch.stats, name)[row], getattr(alone.stats, name)), name
        for name in ("smallest_step", "largest_step"):
            torch.testing.assert_close(
                getattr(batch.stats, name)[row], getattr(alone.stats, name), rtol=1e-6, atol=0
            )


def test_a_stiff_neighbour_costs_an_easy_sample_nothing() -> None:
    rates = torch.tensor([[1.0], [1.0], [300.0]], dtype=torch.double)
    t = torch.tensor([0.0, 2.0], dtype=torch.double)
    y0 = torch.ones(3, 1, dtype=torch.double)
    stats = odeint(lambda t, y: torch.cos(t)[:, None] - rates * y, y0, t).stats
    assert stats.evaluations[0] == stats.evaluations[1]
    assert stats.evaluations[2] > 5 * stats.evaluations[0]


def test_padding_changes_nothing() -> None:
    t = torch.tensor([[0.0, 0.5, 2.0]], dtype=torch.double)
    y0 = torch.randn(1, 3, dtype=torch.double)
    padded = torch.cat([t, torch.full((1, 4), torch.nan, dtype=torch.double)], dim=1)
    mask = torch.isfinite(padded)
    plain, long = odeint(bent, y0, t), odeint(bent, y0, padded, mask=mask)
    assert torch.equal(plain.ys, long.ys[:, :3])
    assert torch.equal(long.ys[:, 3:], torch.zeros(1, 4, 3, dtype=torch.double))
    assert torch.equal(plain.stats.evaluations, long.stats.evaluations)


# ---- times


@every_solver
def test_every_time_of_every_sample_is_honoured(solver: str) -> None:
    t, mask = ragged()
    y0 = torch.randn(4, 2, dtype=torch.double)
    ys = odeint(swing, y0, t, mask=mask, solver=solver, **settings(solver, 0.005)).ys
    turn = (t - t[:, :1]).nan_to_num()
    x, v = y0[:, :1], y0[:, 1:]
    exact = torch.stack([x * turn.cos() + v * turn.sin(), v * turn.cos() - x * turn.sin()], dim=2)
    exact = torch.where(mask[:, :, None], exact, 0)
    torch.testing.assert_close(ys, exact, rtol=0, atol=4e-2 if solver == "euler" else 2e-4)
    assert torch.equal(ys[:, 0], y0)


def test_repeated_times_repeat_the_state() -> None:
    t = torch.tensor([0.0, 0.0, 1.0, 1.0, 2.0, 2.0], dtype=torch.double)
    for solver in SOLVERS:
        ys = odeint(bent, torch.randn(2, 3, dtype=torch.double), t, solver=solver, **settings(solver)).ys
        assert torch.equal(ys[:, 0::2], ys[:, 1::2])


def test_a_span_of_zero_returns_y0_without_a_step() -> None:
    y0 = torch.randn(2, 3, dtype=torch.double)
    solution = odeint(bent, y0, torch.tensor([1.0, 1.0, 1.0], dtype=torch.double)).require_ok()
    assert torch.equal(solution.ys, y0[:, None].expand(2, 3, 3))
    assert solution.stats.accepted.tolist() == [0, 0]


@every_solver
def test_time_can_be_reversed(solver: str) -> None:
    t = torch.tensor([0.0, 1.5], dtype=torch.double)
    y0 = torch.randn(3, 3, dtype=torch.double)
    there = odeint(bent, y0, t, solver=solver, **settings(solver, 0.005)).ys[:, -1]
    back = odeint(bent, there, t.flip(0), solver=solver, **settings(solver, 0.005)).ys[:, -1]
    torch.testing.assert_close(back, y0, rtol=0, atol=3e-2 if solver == "euler" else 2e-4)


def test_solving_backwards_is_solving_the_mirrored_field_forwards() -> None:
    t = torch.tensor([0.0, 0.3, 2.0], dtype=torch.double)
    y0 = torch.randn(3, 3, dtype=torch.double)
    backwards = odeint(bent, y0, -t)
    mirrored = odeint(lambda s, y: -bent(-s, y), y0, t)
    torch.testing.assert_close(backwards.ys, mirrored.ys, rtol=1e-13, atol=1e-14)
    assert torch.equal(backwards.stats.evaluations, mirrored.stats.evaluations)


# ---- dtypes and shapes


def test_the_field_is_given_time_in_its_own_dtype_and_the_state_in_its_own() -> None:
    seen = set()

    def field(t: Tensor, y: Tensor) -> Tensor:
        seen.add((t.dtype, t.shape, y.dtype, y.shape))
        return -y

    solution = odeint(
        field, torch.ones(2, 3), torch.tensor([0.0, 0.4, 1.0], dtype=torch.double), backend="plain"
    )
    assert seen == {(torch.float64, (2,), torch.float32, (2, 3))}
    assert solution.ys.dtype == torch.float32
    assert solution.stats.largest_step.dtype == torch.float64


@pytest.mark.parametrize("shape", [(), (1,), (2, 3, 2)], ids=str)
def test_a_state_has_any_trailing_shape(shape: tuple[int, ...]) -> None:
    y0 = torch.randn(3, *shape, dtype=torch.double)
    t = torch.tensor([[0.0, 0.3, 1.0], [1.0, 0.5, 0.0], [0.0, 0.0, 0.0]], dtype=torch.double)
    for solver in SOLVERS:
        ys = odeint(decay, y0, t, solver=solver, **settings(solver, 0.002)).ys
        assert ys.shape == (3, 3, *shape)
        exact = y0[:, None] * torch.exp(-(t - t[:, :1])).reshape(3, 3, *(1,) * len(shape))
        torch.testing.assert_close(ys, exact, rtol=2e-2 if solver == "euler" else 1e-4, atol=0)


def test_autocast_changes_nothing() -> None:
    f, y0, t = Network(), torch.randn(4, 3), torch.tensor([0.0, 1.0, 3.0])
    for backend in ("plain", "auto"):
        plain = odeint(f, y0, t, backend=backend)  # type: ignore[arg-type]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = odeint(f, y0, t, backend=backend)  # type: ignore[arg-type]
        assert torch.equal(plain.ys, inside.ys)
        assert torch.equal(plain.stats.evaluations, inside.stats.evaluations)


@pytest.mark.parametrize("gradient", ["direct", "checkpoint", "adjoint"])
def test_autocast_changes_no_gradient(gradient: Any) -> None:
    f, t = Network(), torch.tensor([0.0, 1.0, 3.0])
    y0 = torch.randn(4, 3)
    grads = []
    for enabled in (False, True):
        f.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            ys = odeint(f, y0, t, gradient=gradient, backend="plain").ys
        ys.square().sum().backward()
        grads.append([p.grad.clone() for p in f.parameters() if p.grad is not None])
    for plain, inside in zip(*grads, strict=True):
        torch.testing.assert_close(plain, inside, rtol=1e-6, atol=1e-7)


def test_a_half_precision_state_is_solved_in_float32() -> None:
    y0 = torch.randn(2, 3).bfloat16()
    ys = odeint(bent, y0, torch.tensor([0.0, 1.0])).ys
    assert ys.dtype == torch.float32
    assert torch.equal(ys, odeint(bent, y0.float(), torch.tensor([0.0, 1.0])).ys)


# ---- statistics


@every_solver
def test_statistics_count_exactly_the_evaluations(solver: str) -> None:
    f = Counted(kepler)
    t = torch.tensor([0.0, 1.0, 4.0], dtype=torch.double)
    with torch.no_grad():
        stats = odeint(f, kepler_exact(0.7, 0.1), t, solver=solver, **settings(solver)).stats
    assert stats.evaluations.item() == f.calls
    assert stats.evaluations_backward.item() == 0
    assert stats.accepted > 0


def test_rejected_steps_are_counted() -> None:
    jump = Counted(lambda t, y: torch.where(t[:, None] < 1.0, 1.0, 1e3) * torch.ones_like(y))
    stats = odeint(
        jump, torch.zeros(1, 1, dtype=torch.double), torch.tensor([0.0, 2.0], dtype=torch.double)
    ).stats
    assert stats.rejected.item() > 3
    assert stats.evaluations.item() == jump.calls


def test_the_shortest_and_longest_steps_are_those_that_were_taken() -> None:
    t = torch.tensor([0.0, 1.0], dtype=torch.double)
    stats = odeint(decay, torch.ones(1, 1, dtype=torch.double), t, solver="rk4", step_size=0.3).stats
    assert stats.accepted.item() == 4
    assert stats.smallest_step.item() == pytest.approx(0.25)
    assert stats.largest_step.item() == pytest.approx(0.25)
    adaptive = odeint(decay, torch.ones(1, 1, dtype=torch.double), t).stats
    assert 0 < adaptive.smallest_step.item() < adaptive.largest_step.item() <= 1.0


def test_step_size_is_the_longest_step_and_divides_each_span_evenly() -> None:
    t = torch.tensor([[0.0, 1.0], [0.0, -2.5], [1.0, 1.0]], dtype=torch.double)
    stats = odeint(decay, torch.ones(3, 1, dtype=torch.double), t, solver="tsit5", step_size=0.5).stats
    assert stats.accepted.tolist() == [2, 5, 0]
    assert stats.largest_step.tolist() == [0.5, 0.5, 0.0]


def test_a_fixed_method_steps_from_observation_to_observation() -> None:
    t = torch.tensor([[0.0, 0.1, 0.5], [2.0, 1.0, 0.5]], dtype=torch.double)
    stats = odeint(decay, torch.ones(2, 1, dtype=torch.double), t, solver="rk4").stats
    assert stats.accepted.tolist() == [2, 2]
    assert stats.largest_step.tolist() == pytest.approx([0.4, 1.0])


# ---- failures are values, and harm nobody else


def run_away(t: Tensor, y: Tensor) -> Tensor:
    """y' = y^2 reaches infinity at t = 1 / y0."""
    return y * y


def jumping(t: Tensor, y: Tensor) -> Tensor:
    """A jump in the slope that no step can straddle."""
    return torch.where(t[:, None] < 0.5, 1.0, 1e30 * (y > 0)) + 0 * y


def test_too_many_steps_are_reported_with_index_sentence_and_the_states_that_were_reached() -> None:
    y0 = torch.tensor([[0.01, 0.0], [1.0, 0.0]], dtype=torch.double)
    t = torch.tensor([[0.0, 0.1, 0.2], [0.0, 0.1, 500.0]], dtype=torch.double)
    solution = odeint(swing, y0, t, max_steps=40)
    assert solution.result.tolist() == [Result.OK, Result.MAX_STEPS]
    assert solution.stats.accepted[1] + solution.stats.rejected[1] == 40
    assert bool(torch.isfinite(solution.ys[0]).all())
    assert bool(torch.isfinite(solution.ys[1, :2]).all())
    assert bool(torch.isnan(solution.ys[1, 2]).all())
    with pytest.raises(
        SolverError, match="Sample 1: max_steps was reached before the last observation. Raise max_steps"
    ):
        solution.require_ok()


def test_a_step_that_becomes_too_small_is_reported() -> None:
    y0 = torch.tensor([[1.0], [-2.0]], dtype=torch.double)
    solution = odeint(jumping, y0, torch.tensor([0.0, 0.2, 1.0], dtype=torch.double))
    assert solution.result.tolist() == [Result.STEP_TOO_SMALL, Result.OK]
    with pytest.raises(SolverError, match="Sample 0: the step fell below what the time's dtype can resolve"):
        solution.require_ok()


@pytest.mark.parametrize("solver", ADAPTIVE)
def test_a_solution_that_runs_away_is_reported(solver: str) -> None:
    y0 = torch.tensor([[0.1], [1.0]])
    solution = odeint(
        run_away, y0, torch.tensor([0.0, 0.5, 2.0]), solver=solver, rtol=1e-3, atol=1e-3, max_steps=10**5
    )
    assert solution.result[0] == Result.OK
    assert solution.result[1] in (Result.NONFINITE, Result.STEP_TOO_SMALL)
    assert solution.ys[1, 1].item() == pytest.approx(2.0, rel=1e-2)
    assert bool(torch.isnan(solution.ys[1, 2]).all())
    assert solution.ys[0, 2].item() == pytest.approx(0.1 / 0.8, rel=1e-2)


@every_solver
def test_a_field_that_is_not_finite_at_the_start_is_reported(solver: str) -> None:
    y0 = torch.tensor([[0.0], [1.0]], dtype=torch.double)
    solution = odeint(
        lambda t, y: 1 / y, y0, torch.tensor([0.0, 0.5, 1.0], dtype=torch.double), solver=solver
    )
    assert solution.result.tolist() == [Result.NONFINITE, Result.OK]
    with pytest.raises(SolverError, match="Sample 0: the state or its derivative became infinite or NaN"):
        solution.require_ok()


@pytest.mark.parametrize("solver", ["euler", "rk4", "tsit5"])
def test_fixed_steps_into_infinity_are_reported(solver: str) -> None:
    y0 = torch.tensor([[0.1], [9.0]])
    solution = odeint(run_away, y0, torch.tensor([0.0, 0.1, 5.0]), solver=solver, step_size=0.1)
    assert solution.result.tolist() == [Result.OK, Result.NONFINITE]
    assert not bool(torch.isfinite(solution.ys[1, 2]).any())


def test_a_state_that_overflows_under_a_bounded_slope_is_reported() -> None:
    y0 = torch.tensor([[1e38], [1.0]])
    scale = torch.tensor([[1e38], [1.0]])
    solution = odeint(lambda t, y: scale + 0 * t[:, None], y0, torch.tensor([0.0, 1.0, 10.0]))
    assert solution.result.tolist() == [Result.NONFINITE, Result.OK]


FAILURES: dict[str, tuple[Any, list[float], list[float], dict[str, Any]]] = {
    "max_steps": (lambda t, y, w: torch.cos(w * y * 40), [0.3, 0.2], [0.0, 1e-3, 60.0], {"max_steps": 30}),
    "nonfinite at the start": (lambda t, y, w: w * torch.log(y), [0.0, 0.9], [0.0, 0.1, 0.3], {}),
    "nonfinite later": (lambda t, y, w: w * torch.exp(y * y), [1.0, 0.01], [0.0, 0.01, 0.5], {}),
    "nonfinite in fixed steps": (lambda t, y, w: w * y**3, [9.0, 0.1], [0.0, 0.1, 2.0], {"step_size": 0.1}),
    "nonfinite between observations": (
        lambda t, y, w: w * y**3,
        [9.0, 0.1],
        [0.0, 0.7, 1.4, 2.0],
        {"solver": "rk4"},
    ),
    "step_too_small": (
        lambda t, y, w: torch.where(t[:, None] < 0.5, w, w * 1e30 * (y > 0)) + 0 * y,
        [1.0, -2.0],
        [0.0, 0.2, 1.0],
        {},
    ),
}


@pytest.mark.parametrize("gradient", ["direct", "checkpoint", "adjoint"])
@pytest.mark.parametrize("failure", list(FAILURES))
def test_a_failure_harms_no_other_sample_nor_a_shared_gradient(failure: str, gradient: Any) -> None:
    """The loss of the samples that arrived has the gradients that it has without the one that failed."""
    field, starts, times, options = FAILURES[failure]
    if "between" in failure and gradient == "adjoint":
        options = {**options, "step_size": 0.05}
    outcomes = []
    for rows in ([0, 1], [1]):
        w = torch.tensor(0.7, dtype=torch.double, requires_grad=True)
        y0 = torch.tensor(starts, dtype=torch.double)[rows, None].requires_grad_()
        t = torch.tensor(times, dtype=torch.double)
        # The easy sample is given an easy span where the hard one has a long one.
        t = torch.stack([t, t * (0.01 if failure == "max_steps" else 1.0)])[rows]
        solution = odeint(lambda t, y, w=w: field(t, y, w), y0, t, gradient=gradient, **options)  # type: ignore[misc]
        ok = solution.result == Result.OK
        solution.ys[ok].square().sum().backward()
        assert w.grad is not None
        assert y0.grad is not None
        outcomes.append((ok.tolist(), w.grad, y0.grad[-1]))
        if len(rows) == 2:
            assert y0.grad[0].item() == 0
    assert outcomes[0][0] == [False, True]
    assert outcomes[1][0] == [True]
    torch.testing.assert_close(outcomes[0][1:], outcomes[1][1:], rtol=1e-9, atol=1e-12)


def test_a_failed_sample_s_own_arrived_states_keep_their_gradient() -> None:
    y0 = torch.tensor([[1.0]], dtype=torch.double, requires_grad=True)
    ys = odeint(run_away, y0, torch.tensor([0.0, 0.5, 2.0], dtype=torch.double), max_steps=99).ys
    ys[0, 1].sum().backward()
    assert y0.grad is not None
    assert y0.grad.item() == pytest.approx(4.0, rel=1e-3)  # d/dy0 of y0 / (1 - y0 t)


# ---- bad input: one clear sentence

Y0, T = torch.zeros(2, 3), torch.tensor([0.0, 1.0])


def refused(
    kind: type[Exception], sentence: str, *, f: Any = decay, y0: Any = Y0, t: Any = T, **options: Any
) -> None:
    with pytest.raises(kind, match=sentence):
        odeint(f, y0, t, **options)


def test_a_start_that_is_not_finite_is_named_with_its_sample() -> None:
    y0 = torch.zeros(3, 2)
    y0[1, 0] = torch.nan
    refused(ValueError, r"y0 of sample 1 is not finite \(1 of 3 samples\); a solve cannot start there", y0=y0)


@pytest.mark.parametrize("y0", [torch.zeros(2, 3, dtype=torch.long), torch.tensor(1.0), [1.0]], ids=str)
def test_a_state_that_is_no_batch_of_floats_is_refused(y0: Any) -> None:
    refused(TypeError, r"y0 is .*; expected a float tensor \(batch, \.\.\.\)", y0=y0)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (0,)], ids=str)
def test_a_state_of_nothing_is_refused(shape: tuple[int, ...]) -> None:
    for f in (bent, Network()):
        refused(ValueError, r"y0 has shape .*: there is nothing to solve", f=f, y0=torch.zeros(shape))


@every_solver
def test_a_derivative_of_another_shape_is_refused(solver: str) -> None:
    t = torch.tensor([0.0, 0.5, 1.0])
    refused(
        ValueError,
        r"f returned shape \(2, 1\) for a state of shape \(2, 3\); a derivative has the shape of its state",
        f=lambda t, y: y[:, :1],
        t=t,
        solver=solver,
    )


@pytest.mark.parametrize("gradient", ["direct", "checkpoint", "adjoint"])
def test_a_derivative_of_another_dtype_is_refused(gradient: str) -> None:
    sentence = (
        r"f returned torch\.float64 for a state of torch\.float32; convert the field's parameters or y0"
    )
    refused(TypeError, sentence, f=lambda t, y: y.double(), gradient=gradient)


@pytest.mark.parametrize("gradient", ["direct", "checkpoint", "adjoint"])
def test_a_derivative_that_is_no_tensor_is_refused(gradient: str) -> None:
    refused(
        TypeError,
        "f returned tuple; expected a tensor like the state",
        f=lambda t, y: (y, y),
        gradient=gradient,
    )


@pytest.mark.parametrize("gradient", ["direct", "checkpoint", "adjoint"])
@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyError, FloatingPointError])
def test_an_exception_in_the_field_keeps_its_type(kind: type[Exception], gradient: str) -> None:
    class Grumpy(torch.nn.Module):
        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            raise kind("in the field")

    for f in (Grumpy(), Grumpy().forward):
        refused(kind, "in the field", f=f, gradient=gradient)


def test_a_choice_that_does_not_exist_is_answered_with_those_that_do() -> None:
    refused(
        ValueError,
        "gradient='backprop' is unknown; choose one of 'direct', 'checkpoint'",
        gradient="backprop",
    )
    refused(ValueError, "backend='cuda' is unknown; choose one of 'auto', 'plain'", backend="cuda")
    refused(ValueError, r"Unknown solver 'tsitt5'\. Did you mean 'tsit5'\?", solver="tsitt5")


def test_fewer_than_one_step_is_refused() -> None:
    refused(ValueError, "max_steps=0 must be at least 1", max_steps=0)


def test_a_bound_on_fixed_steps_would_do_nothing() -> None:
    refused(ValueError, "max_steps=9 would do nothing", solver="rk4", step_size=0.1, max_steps=9)


def test_a_time_that_cannot_resolve_its_steps_ends_the_solve() -> None:
    t = torch.tensor([1e17, 1e17 + 64], dtype=torch.float64)
    solution = odeint(lambda t, y: -y * 50, torch.ones(1, 1), t, backend="plain")
    assert solution.result.tolist() == [Result.STEP_TOO_SMALL]


def wave(t: Tensor, y: Tensor) -> Tensor:
    return torch.cos(t)[:, None] * y


@pytest.mark.parametrize("start", [0.0, 1e4, 1e6])
@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dopri8"])
def test_single_precision_times_far_from_zero_cost_no_accuracy(solver: str, start: float) -> None:
    """Were t + h rounded to float32, the time would run ahead of the state."""
    t = torch.tensor([start, start + 1, start + 4], dtype=torch.float32)
    y0 = torch.ones(1, 1, dtype=torch.double)
    options: dict[str, Any] = {"solver": solver, "rtol": 1e-9, "atol": 1e-12}
    decayed = odeint(lambda t, y: -y, y0, t, **options).require_ok().ys[0, :, 0]
    torch.testing.assert_close(decayed, torch.exp(start - t.double()), rtol=5e-8, atol=1e-10)
    waves = odeint(wave, y0, t, **options).require_ok().ys[0, :, 0]
    exact = torch.exp(torch.sin(t.double()) - math.sin(start))
    torch.testing.assert_close(waves, exact, rtol=5e-8, atol=0)


@pytest.mark.parametrize("backend", ["plain", "native"])
def test_a_single_precision_solve_does_not_depend_on_where_its_time_begins(backend: Any) -> None:
    f, y0 = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 3)), torch.randn(4, 3)
    if backend == "native" and not isinstance(load_library(), Library):
        pytest.skip("no kernel here")
    near, far = (
        odeint(lambda t, y: f(y), y0, torch.tensor([start, start + 5]), backend=backend, rtol=1e-5).ys
        for start in (0.0, 1e4)
    )
    torch.testing.assert_close(near, far, rtol=1e-6, atol=1e-6)


def test_the_field_is_given_its_times_in_the_finer_of_the_two_precisions() -> None:
    for times, state, expected in (
        (torch.float32, torch.float32, torch.float32),
        (torch.float32, torch.float64, torch.float64),
        (torch.float64, torch.float32, torch.float64),
    ):
        seen = set()

        def field(t: Tensor, y: Tensor, seen: set[torch.dtype] = seen) -> Tensor:
            seen.add(t.dtype)
            return -y

        t = torch.tensor([0.0, 1.0], dtype=times, requires_grad=True)
        odeint(field, torch.ones(1, 1, dtype=state), t).ys.sum().backward()
        assert seen == {expected}
        assert t.grad is not None
        assert t.grad.dtype == times


@pytest.mark.parametrize("step_size", [0.0, -0.1, math.inf, math.nan])
def test_a_step_size_that_is_no_length_is_refused(step_size: float) -> None:
    refused(
        ValueError, "must be a positive length; direction comes from t", solver="rk4", step_size=step_size
    )


@pytest.mark.parametrize("solver", ["euler", "midpoint", "rk4"])
@pytest.mark.parametrize("tolerance", [{"rtol": 1e-3}, {"atol": 1e-3}, {"controller": Controller()}])
def test_tolerances_of_a_fixed_method_are_an_error(solver: str, tolerance: dict[str, Any]) -> None:
    (name,) = tolerance
    sentence = (
        f"{name} would do nothing: {solver} has no error estimate. Drop {name}, or use an adaptive method"
    )
    refused(ValueError, sentence, solver=solver, step_size=0.1, **tolerance)


def test_tolerances_beside_a_step_size_are_an_error() -> None:
    sentence = "rtol and atol would do nothing: tsit5 was given step_size, so its steps are fixed"
    refused(ValueError, sentence, step_size=0.1, rtol=1e-3, atol=1e-3)


def test_a_fixed_method_on_two_times_without_a_step_is_an_error() -> None:
    refused(
        ValueError,
        "rk4 takes fixed steps and t has two times, so it would cross the whole span",
        solver="rk4",
    )


def test_a_controller_beside_tolerances_is_an_error() -> None:
    refused(
        ValueError,
        "rtol and controller overlap: the controller carries rtol",
        rtol=1e-3,
        controller=Controller(),
    )


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 1e-7), (torch.float64, 1e-15)])
def test_a_tolerance_that_the_state_cannot_carry_names_the_fix(dtype: torch.dtype, rtol: float) -> None:
    name = str(dtype).removeprefix("torch.")
    refused(
        ValueError,
        rf"rtol={rtol:g} is below what {name} can carry \(.* = 10 eps\)",
        y0=Y0.to(dtype),
        rtol=rtol,
    )


def test_the_fix_for_float32_works_and_that_for_float64_is_not_to_go_where_one_is() -> None:
    with pytest.raises(ValueError, match=r"Use rtol of at least 1e-5, or y0\.double\(\)"):
        odeint(decay, Y0, T, rtol=1e-7)
    odeint(decay, Y0, T, rtol=1e-5).require_ok()
    odeint(decay, Y0.double(), T.double(), rtol=1e-7).require_ok()
    with pytest.raises(ValueError, match="float64 can carry") as raised:
        odeint(decay, Y0.double(), T.double(), rtol=1e-15)
    assert "y0.double()" not in str(raised.value)


def test_the_method_says_how_it_was_solved_and_why() -> None:
    assert "plain" in odeint(decay, Y0.double(), T.double(), backend="plain").method
