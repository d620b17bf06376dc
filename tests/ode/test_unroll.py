"""Gradients through the steps are those of the numbers that were computed, in memory that was promised."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from homeostat.ode import SOLVERS, odeint
from homeostat.ode.unroll import _segment_lengths
from ode.problems import Counted, Network, bent, kepler, kepler_exact

METHODS = ["direct", "checkpoint"]
every_gradient = pytest.mark.parametrize("gradient", METHODS)


def settings(solver: str) -> dict[str, Any]:
    return (
        {"rtol": 1e-8, "atol": 1e-8} if SOLVERS[solver].order > 3 and solver != "rk4" else {"step_size": 0.05}
    )


def finite_difference(loss: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-5) -> Tensor:
    """Central differences of `loss` in each entry of `x`."""
    gradient = torch.zeros_like(x)
    with torch.no_grad():
        for index in itertools.product(*map(range, x.shape)):
            nudge = torch.zeros_like(x)
            nudge[index] = step
            gradient[index] = (loss(x + nudge) - loss(x - nudge)) / (2 * step)
    return gradient


def double_network() -> Network:
    return Network(dim=2, hidden=3).double()


def ragged_times() -> tuple[Tensor, Tensor]:
    t = torch.tensor([[0.0, 0.4, 1.1, 1.7], [2.0, 1.5, 0.9, 0.0], [0.3, 0.8, 0.9, 3.0]], dtype=torch.double)
    mask = torch.ones_like(t, dtype=torch.bool)
    mask[1, 2] = mask[2, 3] = False
    return t, mask


@pytest.mark.parametrize("solver", list(SOLVERS))
@every_gradient
def test_gradients_of_the_start_and_of_parameters_are_finite_differences(solver: str, gradient: Any) -> None:
    f, (t, mask) = double_network(), ragged_times()
    weigh = torch.randn(3, 4, 2, dtype=torch.double)
    y0 = torch.randn(3, 2, dtype=torch.double, requires_grad=True)
    weight = f.net[0].weight
    original = weight.detach().clone()

    def loss(y0: Tensor) -> Tensor:
        return (
            odeint(f, y0, t, mask=mask, solver=solver, gradient=gradient, **settings(solver)).ys * weigh
        ).sum()

    def loss_of_weight(values: Tensor) -> Tensor:
        weight.data.copy_(values)
        return loss(y0)

    loss(y0).backward()
    assert y0.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(y0.grad, finite_difference(loss, y0.detach()), rtol=2e-4, atol=1e-5)
    torch.testing.assert_close(weight.grad, finite_difference(loss_of_weight, original), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("solver", ["tsit5", "dopri5", "dopri8", "rk4"])
@every_gradient
def test_gradients_of_the_times_are_finite_differences(solver: str, gradient: Any) -> None:
    f, (t, mask) = double_network(), ragged_times()
    t.requires_grad_()
    weigh = torch.randn(3, 4, 2, dtype=torch.double)
    y0 = torch.randn(3, 2, dtype=torch.double)

    def loss(t: Tensor) -> Tensor:
        return (
            odeint(f, y0, t, mask=mask, solver=solver, gradient=gradient, **settings(solver)).ys * weigh
        ).sum()

    loss(t).backward()
    assert t.grad is not None
    # Dense output between steps is less accurate in its slope than in its value.
    torch.testing.assert_close(t.grad, finite_difference(loss, t.detach(), 1e-4), rtol=1e-3, atol=1e-3)
    assert t.grad[~mask].tolist() == [0, 0]


def test_a_state_does_not_depend_on_times_after_it_nor_on_other_samples() -> None:
    t = torch.tensor([[0.0, 1.0, 2.0], [0.0, 1.0, 3.0]], dtype=torch.double)
    y0 = torch.randn(2, 3, dtype=torch.double, requires_grad=True)
    ys = odeint(bent, y0, t, rtol=1e-6, atol=1e-6).ys
    (g,) = torch.autograd.grad(ys[0, 1].sum(), y0)
    assert g[1].abs().max() == 0
    assert g[0].abs().max() > 0


@every_gradient
def test_a_gradient_of_a_batch_is_each_sample_s_own(gradient: Any) -> None:
    t, mask = ragged_times()
    y0 = torch.randn(3, 3, dtype=torch.double)

    def grad(rows: slice) -> Tensor:
        start = y0[rows].clone().requires_grad_()
        ys = odeint(bent, start, t[rows], mask=mask[rows], gradient=gradient).ys
        (g,) = torch.autograd.grad(ys.square().sum(), start)
        return g

    alone = torch.cat([grad(slice(index, index + 1)) for index in range(3)])
    torch.testing.assert_close(grad(slice(None)), alone, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"solver": "dopri8"}, {"solver": "rk4", "step_size": 0.03}], ids=str)
def test_checkpoint_is_direct(options: dict[str, Any]) -> None:
    f, (t, mask) = double_network(), ragged_times()
    y0 = torch.randn(3, 2, dtype=torch.double, requires_grad=True)
    results = []
    for gradient in METHODS:
        ys = odeint(f, y0, t, mask=mask, gradient=gradient, **options).ys  # type: ignore[arg-type]
        results.append((ys, *torch.autograd.grad(ys.square().sum(), [y0, *f.parameters()])))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-13)


def test_masked_observations_pull_nothing() -> None:
    t, mask = ragged_times()
    y0 = torch.randn(3, 3, dtype=torch.double)
    grads = []
    for weight_of_masked in (0.0, 1e6):
        start = y0.clone().requires_grad_()
        ys = odeint(bent, start, t, mask=mask).ys
        weight = torch.where(mask, 1.0, weight_of_masked)[:, :, None]
        grads.append(torch.autograd.grad((weight * ys).sum(), start)[0])
    assert torch.equal(grads[0], grads[1])


@every_gradient
def test_a_tensor_that_the_field_closes_over_gets_its_gradient(gradient: Any) -> None:
    context = torch.randn(3, 2, dtype=torch.double, requires_grad=True)
    y0, t = torch.randn(3, 2, dtype=torch.double), torch.tensor([0.0, 1.0], dtype=torch.double)

    def loss(context: Tensor) -> Tensor:
        field = lambda t, y: torch.tanh(context * 2) - y  # noqa: E731
        return odeint(field, y0, t, gradient=gradient, rtol=1e-9, atol=1e-9).ys.square().sum()

    loss(context).backward()
    assert context.grad is not None
    torch.testing.assert_close(context.grad, finite_difference(loss, context.detach()), rtol=1e-6, atol=1e-7)


@every_gradient
def test_a_second_derivative_is_a_finite_difference_of_the_first(gradient: Any) -> None:
    y0, t = torch.randn(1, 3, dtype=torch.double), torch.tensor([0.0, 1.0], dtype=torch.double)

    def first(y0: Tensor, *, create_graph: bool = False) -> Tensor:
        with torch.enable_grad():
            start = y0 if y0.requires_grad else y0.clone().requires_grad_()
            ys = odeint(bent, start, t, gradient=gradient, rtol=1e-9, atol=1e-9).ys
            (g,) = torch.autograd.grad(ys[:, -1].pow(3).sum(), start, create_graph=create_graph)
        return g.sum()

    y0.requires_grad_()
    (second,) = torch.autograd.grad(first(y0, create_graph=True), y0)
    torch.testing.assert_close(second, finite_difference(first, y0.detach()), rtol=1e-5, atol=1e-6)


# ---- memory


def saved_elements(gradient: Any, steps: int) -> int:
    """Elements that autograd keeps between forward and backward."""
    f = Network(dim=4, hidden=16).double()
    y0, t = torch.randn(2, 4, dtype=torch.double), torch.tensor([0.0, 4.0], dtype=torch.double)
    seen: dict[tuple[int, int], int] = {}
    alive: list[Tensor] = []

    def pack(x: Tensor) -> Tensor:
        alive.append(x)  # so that no address is used twice
        seen[(x.data_ptr(), x.numel())] = x.numel()
        return x

    with saved_tensors_hooks(pack, lambda x: x):
        odeint(f, y0, t, solver="rk4", step_size=4.0 / steps, gradient=gradient)
    return sum(seen.values())


def test_checkpoint_keeps_a_root_of_what_direct_keeps() -> None:
    direct = [saved_elements("direct", steps) for steps in (50, 450)]
    kept = [saved_elements("checkpoint", steps) for steps in (50, 450)]
    assert direct[1] / direct[0] > 6  # nine times the steps
    assert kept[1] / kept[0] < 4.5  # three times, and what does not grow
    assert kept[1] < direct[1] / 10


@pytest.mark.parametrize("segments", [1, 5, 40])
def test_segments_grow_so_that_their_number_and_the_longest_are_roots_of_the_steps(segments: int) -> None:
    lengths = list(itertools.islice(_segment_lengths("checkpoint"), segments))
    assert sum(lengths) >= 2 * segments**2
    assert max(lengths) <= 4 * segments
    assert next(_segment_lengths("direct")) > 10**9


# ---- what it cost


@pytest.mark.parametrize(
    "options", [{}, {"solver": "heun", "rtol": 1e-2}, {"solver": "rk4", "step_size": 0.2}], ids=str
)
@pytest.mark.parametrize("times", [[0.0, 2.0], [0.0, 0.3, 2.0]], ids=str)
@every_gradient
def test_statistics_count_the_way_back(gradient: Any, times: list[float], options: dict[str, Any]) -> None:
    f = Counted(kepler)
    y0 = kepler_exact(0.5, 0.1).requires_grad_()
    solution = odeint(f, y0, torch.tensor(times, dtype=torch.double), gradient=gradient, **options)
    forward = f.calls
    assert solution.stats.evaluations.item() == forward
    assert solution.stats.evaluations_backward.item() == 0
    f.pulls = 0
    solution.ys.square().sum().backward()
    did = f.pulls + f.calls - forward
    # The slope at the very end is pulled only where an observation is interpolated.
    assert did <= solution.stats.evaluations_backward.item() <= did + 2
