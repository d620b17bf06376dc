"""The continuous adjoint agrees with the gradient of the steps as closely as its tolerance, and says when it cannot."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from homeostat.ode import Result, SolverError, odeint
from homeostat.ode.adjoint import Reached
from ode.problems import Counted, Network, bent, decay, kepler, kepler_exact

TIGHT: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9}


def ragged_times() -> tuple[Tensor, Tensor]:
    t = torch.tensor(
        [[0.0, 0.4, 1.1, 1.7], [2.0, 1.5, 0.9, 0.0], [0.3, 0.8, 0.9, 3.0], [1.0, 1.0, 1.0, 1.0]],
        dtype=torch.double,
    )
    mask = torch.ones_like(t, dtype=torch.bool)
    mask[1, 2] = mask[2, 3] = False
    return t, mask


@pytest.mark.parametrize(
    "options",
    [
        TIGHT,
        TIGHT | {"solver": "dopri8"},
        TIGHT | {"solver": "bosh3", "rtol": 1e-7},
        {"solver": "rk4", "step_size": 0.02},
    ],
    ids=str,
)
def test_adjoint_agrees_with_direct(options: dict[str, Any]) -> None:
    """In the start, the parameters and the times: ragged, backwards, masked, and standing still."""
    f, (t, mask) = Network(dim=2, hidden=3).double(), ragged_times()
    t.requires_grad_()
    y0 = torch.randn(4, 2, dtype=torch.double, requires_grad=True)
    weigh = torch.randn(4, 4, 2, dtype=torch.double)
    weigh[3] = 0  # what times at the start are worth differs by convention
    gradients = []
    for gradient in ("direct", "adjoint"):
        ys = odeint(f, y0, t, mask=mask, gradient=gradient, **options).ys  # type: ignore[arg-type]
        gradients.append(torch.autograd.grad((ys * weigh).sum(), [y0, t, *f.parameters()]))
    for direct, adjoint in zip(*gradients, strict=True):
        torch.testing.assert_close(direct, adjoint, rtol=1e-4, atol=1e-5)


def test_adjoint_is_a_finite_difference() -> None:
    weight = torch.tensor([[0.2, -0.9], [1.1, -0.3]], dtype=torch.double, requires_grad=True)
    y0, t = torch.randn(2, 2, dtype=torch.double), torch.tensor([0.0, 0.7, 2.0], dtype=torch.double)

    def loss(w: Tensor) -> Tensor:
        return odeint(lambda t, y: torch.tanh(y @ w.T), y0, t, gradient="adjoint", **TIGHT).ys.square().sum()

    loss(weight).backward()
    assert weight.grad is not None
    with torch.no_grad():
        for index in ((0, 0), (1, 0)):
            nudge = torch.zeros_like(weight)
            nudge[index] = 1e-5
            difference = (loss(weight + nudge) - loss(weight - nudge)) / 2e-5
            torch.testing.assert_close(weight.grad[index], difference, rtol=1e-5, atol=1e-6)


def test_masked_observations_pull_nothing_whatever_the_loss_does_with_them() -> None:
    t, mask = ragged_times()
    y0 = torch.randn(4, 3, dtype=torch.double)
    grads = []
    for weight_of_masked in (0.0, 1e6):
        start = y0.clone().requires_grad_()
        ys = odeint(bent, start, t, mask=mask, gradient="adjoint").ys
        grads.append(
            torch.autograd.grad((torch.where(mask, 1.0, weight_of_masked)[:, :, None] * ys).sum(), start)[0]
        )
    assert torch.equal(grads[0], grads[1])


def test_a_masked_time_is_never_solved_from_the_zeros_that_stand_in_for_it() -> None:
    """log(0) would be infinite."""
    w = torch.tensor(0.5, dtype=torch.double, requires_grad=True)
    t = torch.tensor([[0.0, 1.0, 9.0, 2.0, 9.0]], dtype=torch.double)
    mask = t < 9
    y0 = torch.tensor([[2.0]], dtype=torch.double)
    gradients = []
    for gradient in ("direct", "adjoint"):
        ys = odeint(lambda t, y: -w * torch.log(y), y0, t, mask=mask, gradient=gradient, **TIGHT).ys  # type: ignore[arg-type]
        gradients.append(torch.autograd.grad(ys.sum(), w)[0])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=1e-8)


class Saved:
    """Stands in a graph for a tensor that it would keep."""

    def __init__(self, size: int) -> None:
        self.size = size


def test_memory_does_not_grow_with_the_steps() -> None:
    kept = []
    f = Network(dim=4, hidden=16).double()
    y0 = torch.randn(2, 4, dtype=torch.double)
    for steps in (10, 200):
        saved: weakref.WeakSet[Saved] = weakref.WeakSet()

        def pack(x: Tensor, saved: weakref.WeakSet[Saved] = saved) -> Saved:
            saved.add(held := Saved(x.numel()))
            return held

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held):
            solution = odeint(
                f,
                y0,
                torch.tensor([0.0, 4.0], dtype=torch.double),
                solver="rk4",
                step_size=4 / steps,
                gradient="adjoint",
            )
        gc.collect()
        kept.append(sum(held.size for held in saved))
        del solution
    assert kept[0] == kept[1]


@pytest.mark.parametrize("timed", [False, True])
def test_statistics_count_every_evaluation(timed: bool) -> None:
    w = torch.tensor(1.0, dtype=torch.double, requires_grad=True)
    f = Counted(lambda t, y: w * kepler(t, y))
    t = torch.tensor([0.0, 0.7, 2.0], dtype=torch.double, requires_grad=timed)
    solution = odeint(f, kepler_exact(0.5, 0.1).requires_grad_(), t, gradient="adjoint")
    forward = f.calls
    assert solution.stats.evaluations.item() == forward
    assert solution.stats.evaluations_backward.item() == 0
    solution.ys.square().sum().backward()
    assert solution.stats.evaluations_backward.item() == f.calls - forward


def test_parameters_that_the_first_evaluation_did_not_touch_are_found() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early, self.late = (nn.Parameter(torch.tensor(x, dtype=torch.double)) for x in (0.5, 0.8))

        def forward(self, t: Tensor, y: Tensor) -> Tensor:
            return -y * (self.late if float(t[0]) > 1 else self.early)

    f = Late()
    y0, t = torch.ones(1, 1, dtype=torch.double), torch.tensor([0.0, 1.0, 2.0], dtype=torch.double)
    odeint(f, y0, t, gradient="adjoint", solver="rk4", step_size=0.01).ys[:, -1].sum().backward()
    assert f.late.grad is not None
    assert f.late.grad.item() == pytest.approx(-torch.exp(torch.tensor(-1.3)).item(), rel=2e-2)


def test_a_network_before_the_field_is_reached_through_what_the_field_closes_over() -> None:
    encoder = nn.Linear(2, 2).double()
    seen = torch.randn(3, 2, dtype=torch.double)
    t = torch.tensor([0.0, 1.0], dtype=torch.double)
    gradients = []
    for gradient in ("direct", "adjoint"):
        encoder.zero_grad()
        context = torch.tanh(encoder(seen))
        odeint(
            lambda t, y, c=context: c - y, context, t, gradient=gradient, **TIGHT
        ).ys.square().sum().backward()  # type: ignore[arg-type, misc]
        gradients.append([p.grad.clone() for p in encoder.parameters() if p.grad is not None])
    assert len(gradients[0]) == 2
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=1e-8)


def test_frozen_parameters_stay_without_a_gradient() -> None:
    f = Network().double()
    f.net[0].requires_grad_(False)
    y0, t = torch.randn(2, 3, dtype=torch.double), torch.tensor([0.0, 1.0], dtype=torch.double)
    odeint(f, y0, t, gradient="adjoint").ys.sum().backward()
    assert f.net[0].weight.grad is None
    assert f.net[2].weight.grad is not None


def test_leaves_are_those_that_a_backward_pass_would_reach() -> None:
    a, b, c = (torch.ones(2, requires_grad=True) for _ in range(3))
    reached = Reached([], None)
    for product in ((a * b).sum() + 0 * a.sum(), a.sum(), b.sum()):
        reached.add(product)
    assert len(reached.tensors) == 2
    assert all(any(leaf is wanted for leaf in reached.tensors) for wanted in (a, b))
    assert not any(leaf is c for leaf in reached.tensors)


def late_field(a: Tensor, b: Tensor, begin: float = 1.0, end: float = torch.inf) -> Any:
    """A field that is no module, and reaches `b` in a part of the time only."""
    return lambda t, y: -y * (b if begin < float(t[0]) < end else a)


def test_a_tensor_that_only_a_later_evaluation_reaches_gets_its_gradient() -> None:
    a, b = (torch.tensor(x, dtype=torch.double, requires_grad=True) for x in (0.5, 0.8))
    y0, t = torch.ones(1, 2, dtype=torch.double), torch.tensor([0.0, 1.0, 2.0], dtype=torch.double)
    options: dict[str, Any] = {"solver": "rk4", "step_size": 0.01}
    gradients = []
    for gradient in ("direct", "adjoint"):
        ys = odeint(late_field(a, b), y0, t, gradient=gradient, **options).ys  # type: ignore[arg-type]
        gradients.append(torch.autograd.grad(ys.square().sum(), [a, b]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-7)


def test_a_tensor_that_only_the_way_back_reaches_is_an_error_until_it_is_named() -> None:
    """The steps back are other steps: they may enter a window that the steps forward passed over."""
    a, b = (torch.tensor(x, dtype=torch.double, requires_grad=True) for x in (0.5, 0.5))
    y0, t = torch.ones(1, 2, dtype=torch.double, requires_grad=True), torch.tensor([0.0, 2.0]).double()

    back = False

    def field(t: Tensor, y: Tensor) -> Tensor:
        return -y * (b if back else a)

    ys, named = (odeint(field, y0, t, gradient="adjoint", parameters=p).ys for p in (None, [a, b]))
    back = True
    with pytest.raises(SolverError, match=r"reached a parameter of shape \(\).*Name it in parameters="):
        ys.sum().backward()
    assert torch.autograd.grad(named.sum(), b)[0] != 0


def test_only_the_parameters_that_are_named_get_gradients() -> None:
    f = Network(dim=2, hidden=3).double()
    y0, t = torch.randn(2, 2, dtype=torch.double), torch.tensor([0.0, 1.0]).double()
    odeint(f, y0, t, gradient="adjoint", parameters=[f.net[0].weight]).ys.sum().backward()
    assert [p.grad is not None for p in f.parameters()] == [True, False, False, False, False, False]
    with pytest.raises(ValueError, match="parameters would do nothing: gradient='direct'"):
        odeint(f, y0, t, parameters=[f.net[0].weight])


def test_the_graph_that_a_closed_over_tensor_came_from_is_walked_once() -> None:
    """A tensor with a long history behind it, as an encoder's output has, must not slow every evaluation."""
    w = torch.tensor(0.3, dtype=torch.double, requires_grad=True)
    context = w
    for _ in range(3000):
        context = context * 1.0
    reached = Reached([], None)
    for _ in range(2):
        reached.add(context * 2)
    outside = reached._outside
    assert outside is not None
    assert len(outside) > 3000
    y0, t = torch.ones(1, 1, dtype=torch.double), torch.tensor([0.0, 1.0]).double()
    ys = odeint(lambda t, y: -context * y, y0, t, gradient="adjoint", rtol=1e-9, atol=1e-9).ys
    (gradient,) = torch.autograd.grad(ys[:, -1].sum(), w)
    torch.testing.assert_close(gradient, -torch.exp(-w.detach()), rtol=1e-6, atol=1e-8)


def test_a_second_derivative_is_refused() -> None:
    y0 = torch.randn(1, 3, dtype=torch.double, requires_grad=True)
    ys = odeint(bent, y0, torch.tensor([0.0, 1.0], dtype=torch.double), gradient="adjoint").ys
    with pytest.raises(SolverError, match="no second derivative. Use gradient='direct' with backend='plain'"):
        torch.autograd.grad(ys.sum(), y0, create_graph=True)


def test_a_way_back_that_cannot_be_solved_says_so_and_names_the_way_out() -> None:
    y0 = torch.ones(1, 1, dtype=torch.double, requires_grad=True)
    t = torch.tensor([0.0, 1.0], dtype=torch.double)
    # Forwards everything dies at once, and the way back from there is an explosion.
    solution = odeint(
        lambda t, y: -2000 * (y - torch.cos(t)[:, None]), y0, t, gradient="adjoint", max_steps=900
    )
    assert solution.result.tolist() == [Result.OK]
    with pytest.raises(
        SolverError, match=r"backward solve of gradient='adjoint' failed for samples \[0\]: .*'direct'"
    ):
        solution.ys.sum().backward()


def test_without_gradients_it_is_the_plain_solve() -> None:
    y0, t = torch.ones(2, 1, dtype=torch.double), torch.tensor([0.0, 1.0], dtype=torch.double)
    with torch.no_grad():
        adjoint, direct = (odeint(decay, y0, t, gradient=g) for g in ("adjoint", "direct"))  # type: ignore[arg-type]
    assert torch.equal(adjoint.ys, direct.ys)
    assert torch.equal(adjoint.stats.evaluations, direct.stats.evaluations)


def test_the_method_says_adjoint() -> None:
    y0, t = torch.ones(2, 1, dtype=torch.double), torch.tensor([0.0, 1.0], dtype=torch.double)
    assert odeint(decay, y0.requires_grad_(), t, gradient="adjoint").method.startswith("adjoint, plain")
