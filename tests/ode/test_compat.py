"""Code that was written for torchdiffeq runs unchanged, with the same shapes, numbers and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchdiffeq
from torch import Tensor, nn

from homeostat.ode import compat

SOLVES = ["odeint", "odeint_adjoint"]
every_solve = pytest.mark.parametrize("name", SOLVES)


class Spiral(nn.Module):
    """The true dynamics of torchdiffeq's ode_demo.py."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[-0.1, 2.0], [-2.0, -0.1]]))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return torch.mm(y**3, self.matrix)


class Learned(nn.Module):
    """The network of ode_demo.py, narrower."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 2))

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y**3)


def both(name: str, *arguments: Any, **options: Any) -> tuple[Any, Any]:
    return getattr(compat, name)(*arguments, **options), getattr(torchdiffeq, name)(*arguments, **options)


@every_solve
def test_the_spiral_of_ode_demo(name: str) -> None:
    y0, t = torch.tensor([[2.0, 0.0]]), torch.linspace(0.0, 8.0, 60)
    f = Spiral().double()
    with torch.no_grad():
        ours, theirs = both(name, f, y0.double(), t.double(), method="dopri5", rtol=1e-8, atol=1e-9)
    assert ours.shape == theirs.shape == (60, 1, 2)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@every_solve
def test_a_training_step_of_ode_demo(name: str) -> None:
    """A batch of twenty starts with one dimension more, and the mean absolute error as loss."""
    f = Learned().double()
    y0, t = torch.randn(20, 1, 2, dtype=torch.double), torch.linspace(0, 0.4, 10, dtype=torch.double)
    gradients = []
    for library in (compat, torchdiffeq):
        f.zero_grad()
        states = getattr(library, name)(f, y0, t, rtol=1e-8, atol=1e-9)
        assert states.shape == (10, 20, 1, 2)
        states.square().mean().backward()
        gradients.append([p.grad.clone() for p in f.parameters() if p.grad is not None])
    assert len(gradients[0]) == 4
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("method", ["dopri5", "dopri8", "bosh3", "adaptive_heun", "tsit5"])
def test_adaptive_methods_agree(method: str) -> None:
    f, t = Spiral().double(), torch.tensor([0.0, 0.3, 1.0], dtype=torch.double)
    y0 = torch.tensor([[1.5, 0.2]], dtype=torch.double)
    tolerance = 1e-5 if method == "adaptive_heun" else 1e-8
    with torch.no_grad():
        ours = compat.odeint(f, y0, t, method=method, rtol=tolerance, atol=tolerance)
        truth = torchdiffeq.odeint(f, y0, t, method="dopri8", rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(ours, truth, rtol=100 * tolerance, atol=100 * tolerance)


@pytest.mark.parametrize("method", ["euler", "midpoint", "rk4"])
@pytest.mark.parametrize("options", [None, {"step_size": 0.05}], ids=str)
@pytest.mark.parametrize("times", [[0.0, 0.1, 0.2, 0.4], [0.4, 0.2, 0.0], [0.0, 0.4]], ids=str)
def test_fixed_methods_agree_to_the_last_digits(method: str, options: Any, times: list[float]) -> None:
    f, t = Spiral().double(), torch.tensor(times, dtype=torch.double)
    y0 = torch.tensor([[1.5, 0.2]], dtype=torch.double)
    ours, theirs = both("odeint", f, y0, t, method=method, options=options)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


@every_solve
def test_a_tuple_of_states_of_any_shapes(name: str) -> None:
    class Field(nn.Module):
        def forward(self, t: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            a, b = state
            assert t.shape == ()
            return -a * b.sum(), torch.sin(t) * b

    y0 = (torch.randn(3, 2, dtype=torch.double), torch.tensor(0.7, dtype=torch.double))
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.double)
    ours, theirs = both(name, Field(), y0, t, rtol=1e-8, atol=1e-9)
    assert isinstance(ours, tuple)
    assert [x.shape for x in ours] == [x.shape for x in theirs]
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3, 2)], ids=str)
def test_a_state_of_any_shape_backwards_in_time(shape: tuple[int, ...]) -> None:
    y0 = torch.randn(shape, dtype=torch.double)
    t = torch.tensor([1.0, 0.4, 0.0], dtype=torch.double)
    ours, theirs = both("odeint", lambda t, y: -y + t, y0, t, rtol=1e-9, atol=1e-10)
    assert ours.shape == (3, *shape)
    torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-8)


def test_default_tolerances_are_raised_to_what_float32_carries_with_one_warning() -> None:
    y0, t = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])
    with pytest.warns(
        UserWarning, match=r"rtol=1e-07 is below what float32 can carry; using 1\.2e-06"
    ) as caught:
        ys = compat.odeint(lambda t, y: -y, y0, t)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    torch.testing.assert_close(ys[-1], y0 * torch.exp(torch.tensor(-1.0)), rtol=1e-5, atol=1e-6)


def test_double_precision_needs_no_warning() -> None:
    compat.odeint(lambda t, y: -y, torch.ones(2).double(), torch.tensor([0.0, 1.0]).double())


def test_a_failure_is_an_error_as_it_is_there() -> None:
    with pytest.raises(RuntimeError, match="max_steps was reached"):
        compat.odeint(
            lambda t, y: torch.cos(500 * t) * y,
            torch.ones(2).double(),
            torch.tensor([0.0, 10.0]).double(),
            options={"max_num_steps": 5},
        )


def test_what_is_not_offered_is_refused_with_what_is() -> None:
    y0, t = torch.ones(2).double(), torch.tensor([0.0, 1.0]).double()
    with pytest.raises(
        ValueError, match="method='scipy_solver' is not offered; choose one of 'dopri5', 'dopri8'"
    ):
        compat.odeint(lambda t, y: -y, y0, t, method="scipy_solver")
    with pytest.raises(ValueError, match=r"options \['jump_t'\] are not offered for this method"):
        compat.odeint(lambda t, y: -y, y0, t, options={"jump_t": t})
    with pytest.raises(ValueError, match=r"known here: \['step_size'\]"):
        compat.odeint(lambda t, y: -y, y0, t, method="rk4", options={"grid_constructor": None})


@every_solve
def test_times_have_gradients(name: str) -> None:
    y0 = torch.tensor([1.0, 2.0], dtype=torch.double)
    gradients = []
    for library in (compat, torchdiffeq):
        t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.double, requires_grad=True)
        f = Spiral().double()
        getattr(library, name)(
            lambda t, y, f=f: f(t, y[None])[0], y0, t, rtol=1e-9, atol=1e-10, **adjoint(name, f)
        ).sum().backward()
        gradients.append(t.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)


def adjoint(name: str, f: nn.Module) -> dict[str, Any]:
    """torchdiffeq asks for the parameters where the field is not a module."""
    return {"adjoint_params": tuple(f.parameters())} if name == "odeint_adjoint" else {}


def test_only_adjoint_params_get_gradients() -> None:
    f, t = Learned().double(), torch.tensor([0.0, 1.0], dtype=torch.double)
    y0 = torch.randn(3, 2, dtype=torch.double)
    gradients = []
    for library in (compat, torchdiffeq):
        f.zero_grad()
        given = tuple(f.net[0].parameters())
        library.odeint_adjoint(f, y0, t, rtol=1e-9, atol=1e-10, adjoint_params=given).sum().backward()
        gradients.append([p.grad for p in f.parameters()])
    assert (
        [p is None for p in gradients[0]] == [p is None for p in gradients[1]] == [False, False, True, True]
    )
    torch.testing.assert_close(gradients[0][:2], gradients[1][:2], rtol=1e-6, atol=1e-8)


@every_solve
@pytest.mark.parametrize("event", ["step", "accept_step", "reject_step", "step_adjoint"])
def test_callbacks_are_refused_not_ignored(name: str, event: str) -> None:
    f = Spiral()
    setattr(f, f"callback_{event}", lambda t0, y0, dt: None)
    with pytest.raises(ValueError, match=f"func has callback_{event}, and callbacks are not called here"):
        getattr(compat, name)(f, torch.ones(1, 2), torch.tensor([0.0, 1.0]))


@every_solve
def test_double_times_with_a_single_state_are_cast_as_there(name: str) -> None:
    f, y0, t = Learned(), torch.randn(3, 2), torch.tensor([0.0, 0.5, 1.0], dtype=torch.double)
    ours, theirs = both(name, f, y0, t, rtol=1e-5, atol=1e-6)
    assert ours.dtype == theirs.dtype == torch.float32
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    seen = set()
    compat.odeint(lambda t, y: (seen.add(t.dtype), -y)[1], y0, t, rtol=1e-5)
    assert seen == {torch.float32}


@every_solve
def test_one_time_is_the_start(name: str) -> None:
    f, t = Learned().double(), torch.tensor([0.7], dtype=torch.double)
    y0 = torch.randn(3, 2, dtype=torch.double)
    ours, theirs = both(name, f, y0, t)
    assert torch.equal(ours, theirs)
    assert ours.shape == (1, 3, 2)
    assert torch.equal(compat.odeint(lambda t, y: y, (y0, y0[0]), t)[1], y0[:1])
