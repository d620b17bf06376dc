"""The kernel is taken only where it computes the values and the gradients that the field itself would have."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from homeostat.ode import Solution, odeint
from homeostat.ode.build import Library, load_library
from homeostat.ode.native import _agree
from ode.problems import Network, decay

T = torch.tensor([0.0, 0.5, 1.0])
FIXED: dict[str, Any] = {"solver": "rk4", "step_size": 0.25}


@pytest.fixture(autouse=True)
def _library() -> None:
    library = load_library()
    if not isinstance(library, Library):
        pytest.skip(library)


def network(dim: int = 3, hidden: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, dim))


def of_state(net: Callable[[Tensor], Tensor]) -> Any:
    return lambda t, y: net(y)


def agree(f: Any, inputs: list[Tensor], y0: Tensor | None = None, **options: Any) -> Solution:
    """Compare `auto` with `plain`: states, and gradients of the start and of `inputs`, absent ones included."""
    start = torch.randn(4, 3) if y0 is None else y0
    settings = FIXED | options
    outcomes = []
    for backend in ("auto", "plain"):
        y = start.clone().requires_grad_()
        solution = odeint(f, y, T, backend=backend, **settings)  # type: ignore[arg-type]
        loss = (solution.ys * torch.cos(torch.arange(solution.ys.numel()).reshape(solution.ys.shape))).sum()
        gradients = torch.autograd.grad(loss, [y, *inputs], allow_unused=True)
        outcomes.append((solution, gradients))
    (auto, gradients), (plain, expected) = outcomes
    scale = float(plain.ys.detach().abs().max())
    torch.testing.assert_close(auto.ys / scale, plain.ys / scale, rtol=0, atol=2e-6)
    for index, (a, b) in enumerate(zip(gradients, expected, strict=True)):
        assert (a is None) == (b is None), f"gradient {index}: {a is None} {b is None}"
        if a is not None and b is not None:
            scale = float(b.abs().max()) or 1.0
            torch.testing.assert_close(a / scale, b / scale, rtol=0, atol=2e-5)
    return auto


# ---- weights that are not the module's own


def test_functional_call_with_equal_values_gives_the_gradient_of_the_given_weights() -> None:
    """The first step of MAML: the given weights have the values of the module's own, and other gradients."""
    net = network()
    given = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    solution = agree(
        lambda t, y: functional_call(net, given, (y,)),
        [*given.values(), *net.parameters()],
        gradient="direct",
    )
    assert solution.method.startswith("native")


def test_weights_after_an_inner_step_carry_the_gradient_back_to_where_they_came_from() -> None:
    net = network()
    target = torch.randn(3, 3)
    loss = (net(target) - target).square().mean()
    steps = torch.autograd.grad(loss, list(net.parameters()), create_graph=True)
    given = {name: p - 0.1 * g for (name, p), g in zip(net.named_parameters(), steps, strict=True)}
    outcomes = []
    y0 = torch.randn(4, 3)
    for backend in ("auto", "plain"):
        ys = odeint(lambda t, y: functional_call(net, given, (y,)), y0, T, backend=backend, **FIXED).ys  # type: ignore[arg-type]
        outcomes.append(torch.autograd.grad(ys.square().sum(), list(net.parameters()), retain_graph=True))
    torch.testing.assert_close(*outcomes, rtol=1e-4, atol=1e-5)


class LowRank(nn.Module):
    """A linear layer with an update of low rank, which begins at zero (Hu et al. 2021)."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.down.T @ self.up.T


def test_a_low_rank_update_inserted_after_a_solve_is_trained() -> None:
    net = network()
    f = of_state(net)
    odeint(f, torch.randn(4, 3), T)
    net[0] = LowRank(net[0])
    agree(f, [p for p in net.parameters() if p.requires_grad])


class Gated(nn.Module):
    """A chain with a gate beside it that is zero at first."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.gate, self.on = network(), nn.Parameter(torch.zeros(())), False

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        slope = self.net(y)
        return slope + self.gate * torch.sin(y) if self.on else slope


def test_a_zero_gate_that_is_switched_on_later_is_trained() -> None:
    f = Gated()
    assert agree(f, list(f.net.parameters())).method.startswith("native")
    f.on = True
    assert agree(f, list(f.parameters())).method.startswith("plain")
    f.on = False
    assert agree(f, list(f.net.parameters())).method.startswith("native")


def test_a_submodule_replaced_by_its_deep_copy_is_the_one_that_is_trained() -> None:
    holder = nn.ModuleList([network()])
    old = list(holder.parameters())

    def f(t: Tensor, y: Tensor) -> Tensor:
        return holder[0](y)

    odeint(f, torch.randn(4, 3), T)
    holder[0] = copy.deepcopy(holder[0])
    assert agree(f, [*old, *holder.parameters()]).method.startswith("native")


def test_a_patched_forward_runs() -> None:
    net, scale = network(), nn.Parameter(torch.ones(()))
    f = of_state(net)
    odeint(f, torch.randn(4, 3), T)
    original = net[0].forward
    net[0].forward = lambda x: original(x) * scale
    agree(f, [*net.parameters(), scale])
    net[0].forward = lambda x: functional.linear(x, net[0].weight, net[0].bias)
    assert agree(f, list(net.parameters())).method.startswith("native")


@pytest.mark.parametrize("part", ["all", "first layer", "last layer"])
def test_a_field_without_gradients_inside_gets_none(part: str) -> None:
    net = network()

    def f(t: Tensor, y: Tensor) -> Tensor:
        with torch.set_grad_enabled(part == "last layer"):
            y = net[1](net[0](y))
        with torch.set_grad_enabled(part == "first layer"):
            return net[2](y)

    y0 = torch.randn(4, 3, requires_grad=True)
    outcomes = []
    for backend in ("auto", "plain"):
        solution = odeint(f, y0, T, backend=backend, **FIXED)  # type: ignore[arg-type]
        outcomes.append(torch.autograd.grad(solution.ys.sum(), [y0, *net.parameters()], allow_unused=True))
        assert solution.method.startswith("plain")
    for a, b in zip(*outcomes, strict=True):
        assert (a is None) == (b is None)
        assert a is None or b is None or torch.equal(a, b)


class Straight(torch.autograd.Function):
    """Computes a linear layer and pulls back something else."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return functional.linear(x, weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        (weight,) = ctx.saved_tensors
        return 2 * gradient @ weight, torch.zeros_like(weight)


def test_a_derivative_of_the_user_s_own_is_used() -> None:
    weight = nn.Parameter(torch.randn(3, 3))
    assert agree(lambda t, y: Straight.apply(y, weight), [weight]).method.startswith("plain")


class Hidden(torch.autograd.Function):
    """A matrix made from the state where no call can be read."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        with torch._C.DisableTorchFunction():
            return torch.outer(y[0], y[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.sum(0, keepdim=True)


def test_a_weight_computed_out_of_sight_is_seen() -> None:
    """At the sample that is read it has the right value; elsewhere it would not."""
    solution = odeint(lambda t, y: functional.linear(y, Hidden.apply(y)), torch.randn(1, 3), T, **FIXED)
    assert solution.method.startswith("plain")


def test_writing_into_a_tensor_out_of_sight_is_seen() -> None:
    net = network()

    def f(t: Tensor, y: Tensor) -> Tensor:
        hidden = net[0](y)
        with torch._C.DisableTorchFunction():
            hidden.mul_(2)
        return net[2](net[1](hidden))

    assert agree(f, list(net.parameters())).method.startswith("plain")


def test_frozen_parts_stay_frozen() -> None:
    net = network()
    net[0].requires_grad_(False)
    assert agree(of_state(net), list(net[2].parameters())).method.startswith("native")
    buffers = [torch.randn(3, 3), torch.randn(3)]
    assert agree(lambda t, y: functional.linear(y, *buffers), []).method.startswith("native")


def test_shared_layers_and_tied_weights_sum_their_gradients() -> None:
    layer, tied = nn.Linear(3, 3), nn.Linear(3, 3)
    tied.weight = layer.weight

    def f(t: Tensor, y: Tensor) -> Tensor:
        return tied(torch.tanh(layer(torch.tanh(layer(y)))))

    assert agree(f, [layer.weight, layer.bias, tied.bias]).method.startswith("native")


def test_a_transposed_weight_shared_with_its_layer() -> None:
    weight = nn.Parameter(torch.randn(3, 3))
    view = weight.T
    agree(lambda t, y: functional.linear(torch.tanh(functional.linear(y, weight)), view), [weight])


@pytest.mark.parametrize("size", [1.0, 1e-6, 1e-9, 1e-20, 1e-30])
def test_the_first_value_is_compared_in_a_field_of_any_size(size: float) -> None:
    value = torch.tensor([size, -size])
    assert _agree(value * 1.0001, value)
    for wrong in (1.1, 0.0, -1.0, torch.nan, torch.inf):
        assert not _agree(value * wrong, value), wrong
    assert _agree(value * torch.nan, value * torch.nan)
    assert _agree(value * 0, value * 0)


@pytest.mark.parametrize("size", [1e-7, 1e-12])
def test_a_small_field_that_changes_is_solved_as_it_is(size: float) -> None:
    net, factor = network(), torch.tensor(1.0)
    with torch.no_grad():
        net[2].weight.mul_(size)
        net[2].bias.mul_(size)

    def f(t: Tensor, y: Tensor) -> Tensor:
        return net(y) if factor == 1 else net(y) * factor

    y0 = torch.zeros(4, 3)
    odeint(f, y0, T, **FIXED)
    factor.fill_(100.0)
    torch.testing.assert_close(odeint(f, y0, T, **FIXED).ys, odeint(f, y0, T, backend="plain", **FIXED).ys)


def test_modes_and_buffers_are_read_again_for_every_solve() -> None:
    net = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 3))
    f, y0 = of_state(net), torch.randn(4, 3)
    state = torch.get_rng_state()
    assert odeint(f, y0, T, **FIXED).method.startswith("plain: the field is not a chain")
    torch.set_rng_state(state)
    auto = odeint(f, y0, T, **FIXED).ys
    torch.set_rng_state(state)
    plain = odeint(f, y0, T, backend="plain", **FIXED).ys
    assert torch.equal(auto, plain), "the recogniser drew random numbers"


def test_the_reason_names_what_the_field_does_besides() -> None:
    net, y0 = network(), torch.randn(2, 3)
    assert odeint(lambda t, y: net(y) - y, y0, T).method.endswith("between: it calls sub")
    assert odeint(lambda t, y: net(y * 2), y0, T).method.endswith("between: it calls mul")


# ---- the process around the solve


def test_another_thread_does_not_notice_that_fields_are_read() -> None:
    """Its own calls, meanwhile, are ordinary calls."""
    net, y0, failures, stop = network(), torch.randn(2, 3), [], threading.Event()
    weight = nn.Linear(3, 3)
    expected = weight(y0)

    def work() -> None:
        while not stop.is_set():
            try:
                if not torch.equal(weight(y0), expected):
                    failures.append("another value")
            except Exception as error:  # noqa: BLE001  counted
                failures.append(repr(error))

    call, getter = nn.Module.__call__, nn.Module.__getattr__
    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(40):
            odeint(lambda t, y: net(y), y0, T, **FIXED)
            odeint(lambda t, y: -net(y), y0, T, **FIXED)
    finally:
        stop.set()
        thread.join()
    assert not failures, failures[:3]
    assert (nn.Module.__call__, nn.Module.__getattr__) == (call, getter)


def end_state(f: Any, backend: str = "auto") -> Callable[[Tensor], Tensor]:
    return lambda y: odeint(f, y, T, backend=backend, **FIXED).ys[:, -1]  # type: ignore[arg-type]


# torch itself, when it first differentiates forward, uses what it warns of.
quiet = pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated:DeprecationWarning")


@quiet
def test_auto_falls_back_under_the_transforms_of_torch_func() -> None:
    f, y0 = Network(), torch.randn(2, 3)
    reasons = []

    def loss(y: Tensor) -> Tensor:
        solution = odeint(f, y, T, **FIXED)
        reasons.append(solution.method)
        return solution.ys[:, -1].square().sum()

    gradient = torch.func.grad(loss)(y0)
    assert reasons == ["plain: a transform of torch.func is at work"]
    expected = torch.autograd.functional.jacobian(end_state(f, "plain"), y0)
    start = y0.clone().requires_grad_()
    end_state(f, "plain")(start).square().sum().backward()
    torch.testing.assert_close(gradient, start.grad)
    value, tangent = torch.func.jvp(end_state(f), (y0,), (torch.ones_like(y0),))
    torch.testing.assert_close(value, end_state(f, "plain")(y0))
    torch.testing.assert_close(tangent, expected.sum((2, 3)))
    torch.testing.assert_close(torch.func.jacrev(end_state(f))(y0), expected)
    torch.testing.assert_close(torch.func.jacfwd(end_state(f))(y0), expected)


def test_gradients_of_weights_under_torch_func() -> None:
    f, y0 = Network(), torch.randn(2, 3)
    weights = {name: p.detach() for name, p in f.named_parameters()}

    def loss(weights: dict[str, Tensor], backend: Any) -> Tensor:
        field = lambda t, y: functional_call(f, weights, (t, y))  # noqa: E731  short
        return odeint(field, y0, T, backend=backend, **FIXED).ys.square().sum()

    auto, plain = (torch.func.grad(loss)(weights, backend) for backend in ("auto", "plain"))
    torch.testing.assert_close(auto, plain)


@quiet
@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_vectorised_jacobians(strategy: str) -> None:
    f, y0 = Network(), torch.randn(2, 3)
    fast, slow = (
        torch.autograd.functional.jacobian(
            end_state(f, backend),
            y0,
            vectorize=backend == "auto",
            strategy=strategy if backend == "auto" else "reverse-mode",
        )
        for backend in ("auto", "plain")
    )
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-6)


def test_many_gradients_at_once_through_the_kernel() -> None:
    f, y0 = Network(), torch.randn(2, 3, requires_grad=True)
    ys = odeint(f, y0, T, backend="native", **FIXED).ys[:, -1]
    rows = torch.eye(6).reshape(6, 2, 3)
    inputs = [y0, *f.parameters()]
    together = torch.autograd.grad(ys, inputs, rows, is_grads_batched=True, retain_graph=True)
    newer = torch.func.vmap(lambda row: torch.autograd.grad(ys, inputs, row, retain_graph=True))(rows)
    assert all(torch.equal(a, b) for a, b in zip(together, newer, strict=True))
    for index, row in enumerate(rows):
        alone = torch.autograd.grad(ys, inputs, row, retain_graph=True)
        assert all(torch.equal(a[index], b) for a, b in zip(together, alone, strict=True))


@quiet
def test_derivatives_carried_forward() -> None:
    f, y0 = Network(), torch.randn(2, 3)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(y0, torch.ones_like(y0))
        solution = odeint(f, dual, T, **FIXED)
        tangent = torch.autograd.forward_ad.unpack_dual(solution.ys[:, -1]).tangent
    assert solution.method == "plain: a derivative is carried forward"
    _, expected = torch.func.jvp(end_state(f, "plain"), (y0,), (torch.ones_like(y0),))
    torch.testing.assert_close(tangent, expected)


class Doubling(TorchFunctionMode):
    """A mode of the user's that changes what linear layers compute."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        return output * 2 if func is functional.linear else output


def test_a_mode_of_the_user_s_sees_every_call() -> None:
    f, y0 = Network(), torch.randn(2, 3)
    with Doubling():
        auto, plain = (odeint(f, y0, T, backend=backend, **FIXED) for backend in ("auto", "plain"))  # type: ignore[arg-type]
    assert auto.method == "plain: a mode of torch watches the calls of the field"
    assert torch.equal(auto.ys, plain.ys)
    with torch.device("cpu"):
        assert odeint(f, y0, T, **FIXED).method.startswith("native")


def test_a_field_with_a_counter_and_without_a_chain_is_evaluated_once_more_at_most() -> None:
    calls = []

    def f(t: Tensor, y: Tensor) -> Tensor:
        calls.append(1)
        return decay(t, y)

    solution = odeint(f, torch.randn(2, 3), T, **FIXED)
    assert len(calls) <= int(solution.stats.evaluations.amax()) + 1
