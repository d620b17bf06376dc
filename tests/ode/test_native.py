"""The kernel computes what the plain solver computes, each sample as if alone, bit for bit whatever surrounds it."""

from __future__ import annotations

import copy
import ctypes
import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.ode import SOLVERS, Controller, Result, Solution, SolverError, odeint
from homeostat.ode.build import Library, load_library
from ode.problems import Network, bent


@pytest.fixture(autouse=True)
def _library() -> None:
    library = load_library()
    if not isinstance(library, Library):
        pytest.skip(library)


class Chain(nn.Module):
    """Linear layers of the given widths; time first, last or nowhere."""

    def __init__(
        self, widths: list[int], *, activation: type[nn.Module] = nn.Tanh, time: str = "", bias: bool = True
    ):
        super().__init__()
        self.time = time
        layers: list[nn.Module] = []
        for index, (a, b) in enumerate(zip(widths, widths[1:], strict=False)):
            layers += [nn.Linear(a + (bool(time) and index == 0), b, bias=bias), activation()]
        self.net = nn.Sequential(*layers[:-1])

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        if self.time == "first":
            return self.net(torch.cat([t[:, None], y], dim=1))
        return self.net(torch.cat([y, t[:, None]], dim=1) if self.time else y)


def ragged(batch: int, times: int = 6) -> tuple[Tensor, Tensor]:
    """Times of every kind: own spans, some backwards, some empty, some repeated, some masked."""
    t = torch.rand(batch, times).cumsum(dim=1) * torch.rand(batch, 1) * 3 + torch.randn(batch, 1)
    t[1::5] = t[1::5].flip(1)
    t[3::7] = t[3::7, :1]
    t[2::6, 2] = t[2::6, 1]
    mask = torch.rand(batch, times) < 0.7
    mask[:, 0] = True
    return t, mask


def pulled(f: nn.Module, y0: Tensor, t: Tensor, **options: Any) -> tuple[Solution, Tensor, list[Tensor]]:
    """The solution, and gradients of a loss that weighs every state differently."""
    options.setdefault("backend", "native")
    start = y0.clone().requires_grad_()
    solution = odeint(f, start, t, **options)
    weigh = torch.cos(torch.arange(solution.ys[0].numel(), dtype=y0.dtype)).reshape(solution.ys.shape[1:])
    gradients = torch.autograd.grad((solution.ys.nan_to_num() * weigh).sum(), [start, *f.parameters()])
    return solution, gradients[0], list(gradients[1:])


def flat(gradients: list[Any]) -> list[Tensor]:
    return [gradients[0], *gradients[1]]


def in_double(f: nn.Module, y0: Tensor, t: Tensor, **options: Any) -> tuple[Solution, Tensor, list[Tensor]]:
    return pulled(copy.deepcopy(f).double(), y0.double(), t.double(), **{**options, "backend": "plain"})


FIELDS: dict[str, Any] = {
    "tanh": lambda: Chain([3, 8, 8, 3]),
    "sigmoid": lambda: Chain([3, 8, 3], activation=nn.Sigmoid),
    "relu": lambda: Chain([3, 9, 3], activation=nn.ReLU),
    "softplus": lambda: Chain([3, 9, 3], activation=nn.Softplus),
    "elu": lambda: Chain([3, 9, 3], activation=nn.ELU),
    "silu": lambda: Chain([3, 9, 9, 3], activation=nn.SiLU),
    "time first": lambda: Chain([3, 8, 3], time="first"),
    "time last": lambda: Chain([3, 8, 3], time="last"),
    "no bias": lambda: Chain([3, 8, 3], bias=False),
    "one layer": lambda: Chain([3, 3]),
    "wider than a tile": lambda: Chain([17, 33, 17], time="last"),
    "one component": lambda: Chain([1, 5, 1], time="first"),
    "tanh at the end": lambda: Chain([3, 8, 3, 3]).net,
}


def field_of(name: str) -> tuple[nn.Module, int]:
    f = FIELDS[name]()
    if isinstance(f, nn.Sequential):
        wrapped = Chain([3, 3])
        wrapped.net = nn.Sequential(*f[:-1])
        f = wrapped
    return f, {"wider than a tile": 17, "one component": 1}.get(name, 3)


# ---- the same numbers as the plain solver in double precision


@pytest.mark.parametrize("name", FIELDS)
def test_states_and_gradients_are_those_of_the_plain_solver_in_double(name: str) -> None:
    f, dim = field_of(name)
    y0, (t, mask) = torch.randn(40, dim), ragged(40)
    options: dict[str, Any] = {"mask": mask, "rtol": 2e-6, "atol": 2e-6}
    solution, *gradients = pulled(f, y0, t, **options)
    truth, *true_gradients = in_double(f, y0, t, mask=mask, rtol=1e-9, atol=1e-9)
    assert solution.require_ok().method.startswith("native")
    torch.testing.assert_close(solution.ys.double(), truth.ys, rtol=2e-4, atol=2e-4)
    for gradient, true in zip(flat(gradients), flat(true_gradients), strict=True):
        scale = float(true.abs().max()) + 1e-3
        # A kink of relu is crossed at a slightly different time, and dense output smooths it.
        torch.testing.assert_close(
            gradient.double() / scale, true / scale, rtol=0, atol=3e-2 if name in ("relu", "elu") else 1e-3
        )


@pytest.mark.parametrize("solver", list(SOLVERS))
@pytest.mark.parametrize("steps", ["adaptive", "step_size", "observations"])
def test_every_method_takes_the_plain_solver_s_steps(solver: str, steps: str) -> None:
    tableau = SOLVERS[solver]
    if (steps == "adaptive" and not tableau.is_adaptive) or (steps == "observations" and tableau.is_adaptive):
        pytest.skip("not a way in which this method steps")
    f = Chain([3, 8, 3], time="last")
    y0, (t, mask) = torch.randn(24, 3), ragged(24)
    options: dict[str, Any] = {"mask": mask, "solver": solver}
    if steps == "step_size":
        options["step_size"] = 0.1
    native, *gradients = pulled(f, y0, t, **{**options, "backend": "auto"})
    plain, *plain_gradients = pulled(f, y0, t, **options, backend="plain")
    if not (solver == "dopri8" and steps == "step_size"):
        assert native.method.startswith("native")
    torch.testing.assert_close(native.ys, plain.ys, rtol=1e-3, atol=1e-3)
    if steps != "adaptive":
        torch.testing.assert_close(native.ys, plain.ys, rtol=1e-4, atol=1e-5)
        assert torch.equal(native.stats.evaluations, plain.stats.evaluations)
        assert torch.equal(native.stats.accepted, plain.stats.accepted)
        torch.testing.assert_close(native.stats.largest_step, plain.stats.largest_step, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(gradients[0], plain_gradients[0], rtol=1e-2, atol=2e-3)
    for gradient, true in zip(gradients[1], plain_gradients[1], strict=True):  # type: ignore[arg-type]
        torch.testing.assert_close(gradient, true, rtol=1e-2, atol=1e-2)


def test_statistics_are_those_of_the_plain_solver() -> None:
    """In times of double precision, where both compute the same steps up to the rounding of the error."""
    f, y0 = Chain([3, 8, 3]), torch.randn(30, 3)
    t, mask = ragged(30)
    native, plain = (odeint(f, y0, t.double(), mask=mask, backend=b) for b in ("native", "plain"))  # type: ignore[arg-type]
    same = (native.stats.accepted == plain.stats.accepted) & (native.stats.rejected == plain.stats.rejected)
    assert same.float().mean() > 0.8
    assert torch.equal(native.stats.evaluations[same], plain.stats.evaluations[same])
    assert torch.equal(native.result, plain.result)
    moved = same & (plain.stats.accepted > 0)
    torch.testing.assert_close(
        native.stats.smallest_step[moved], plain.stats.smallest_step[moved], rtol=0.1, atol=1e-6
    )
    assert torch.equal(native.stats.smallest_step.isinf(), plain.stats.smallest_step.isinf())


def test_the_way_back_is_counted_once_it_has_run() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(5, 3, requires_grad=True)
    solution = odeint(f, y0, torch.tensor([0.0, 1.0]), backend="native")
    assert solution.stats.evaluations_backward.tolist() == [0] * 5
    solution.ys.sum().backward()
    assert torch.equal(solution.stats.evaluations_backward, 1 + 6 * solution.stats.accepted)


@pytest.mark.parametrize(
    "gains", [{}, {"p": 0.2, "i": 0.4, "d": 0.05}, {"safety": 0.7, "max_factor": 2.0}], ids=str
)
def test_the_controller_reaches_the_kernel(gains: dict[str, float]) -> None:
    f, y0, t = Chain([3, 8, 3]), 3 * torch.randn(10, 3), torch.tensor([0.0, 2.0, 9.0]).double()
    controller = Controller(rtol=1e-4, atol=1e-5, **gains)
    native, plain = (odeint(f, y0, t, controller=controller, backend=b) for b in ("native", "plain"))  # type: ignore[arg-type]
    gap = (native.stats.accepted - plain.stats.accepted).abs().float()
    assert gap.mean() < 1
    torch.testing.assert_close(native.ys, plain.ys, rtol=1e-3, atol=1e-3)


# ---- each sample as if alone, bit for bit


def test_a_sample_s_states_and_gradient_do_not_depend_on_its_neighbours() -> None:
    f = Chain([3, 8, 3], time="last")
    y0, (t, mask) = torch.randn(70, 3), ragged(70)
    batch, gradient, _ = pulled(f, y0, t, mask=mask)
    for index in (0, 1, 3, 17, 31, 32, 69):
        row = slice(index, index + 1)
        alone, alone_gradient, _ = pulled(f, y0[row], t[row], mask=mask[row], backend="native")
        assert torch.equal(batch.ys[row], alone.ys), index
        assert torch.equal(gradient[row], alone_gradient), index
        assert batch.stats.evaluations[index] == alone.stats.evaluations[0]


def test_a_permutation_of_the_batch_permutes_the_result() -> None:
    f = Chain([3, 8, 3])
    y0, (t, mask) = torch.randn(70, 3), ragged(70)
    order = torch.randperm(70)
    batch, gradient, _ = pulled(f, y0, t, mask=mask)
    shuffled, shuffled_gradient, _ = pulled(f, y0[order], t[order], mask=mask[order])
    assert torch.equal(batch.ys[order], shuffled.ys)
    assert torch.equal(gradient[order], shuffled_gradient)


def test_padding_changes_nothing() -> None:
    f = Chain([3, 8, 3], time="first")
    y0, (t, mask) = torch.randn(20, 3), ragged(20)
    padded = torch.cat([t, torch.full((20, 9), torch.nan)], dim=1)
    long = torch.cat([mask, torch.zeros(20, 9, dtype=torch.bool)], dim=1)
    a, b = odeint(f, y0, t, mask=mask, backend="native"), odeint(f, y0, padded, mask=long, backend="native")
    assert torch.equal(a.ys, b.ys[:, :6])
    assert not bool(b.ys[:, 6:].any())


def test_any_number_of_threads_gives_the_same_bits() -> None:
    f = Chain([3, 16, 3], time="last")
    y0, (t, mask) = torch.randn(200, 3), ragged(200)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            solution, gradient, weights = pulled(f, y0, t, mask=mask)
            results.append([solution.ys, gradient, *weights])
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_the_same_solve_twice_gives_the_same_bits() -> None:
    f, y0, (t, mask) = Chain([3, 8, 3]), torch.randn(50, 3), ragged(50)
    (a, ga, wa), (b, gb, wb) = (pulled(f, y0, t, mask=mask) for _ in range(2))
    assert torch.equal(a.ys, b.ys)
    assert torch.equal(ga, gb)
    assert all(torch.equal(x, y) for x, y in zip(wa, wb, strict=True))


@pytest.mark.parametrize("solver", ["tsit5", "dopri8", "heun"])
def test_every_observation_is_honoured(solver: str) -> None:
    """y' = -y through a linear layer, whose solution is known."""
    f = Chain([2, 2], bias=False)
    with torch.no_grad():
        f.net[0].weight.copy_(-torch.eye(2))
    y0, (t, mask) = torch.rand(40, 2) + 0.5, ragged(40)
    solution = odeint(f, y0, t, mask=mask, solver=solver, rtol=1e-5, atol=1e-6, backend="native")
    last = torch.where(mask, t, torch.nan)
    exact = torch.where(mask[:, :, None], y0[:, None] * torch.exp(-(last - t[:, :1]))[:, :, None], 0)
    torch.testing.assert_close(solution.ys, exact, rtol=2e-3, atol=2e-4)
    assert torch.equal(solution.ys[:, 0], y0)


def test_a_batch_whose_first_span_is_empty_is_solved_by_the_kernel() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3)
    t = torch.tensor([[1.0, 1.0], [0.0, 1.0], [2.0, 0.5], [3.0, 3.0]])
    for _ in range(2):
        solution = odeint(f, y0, t, backend="native").require_ok()
        torch.testing.assert_close(solution.ys, odeint(f, y0, t, backend="plain").ys, rtol=1e-3, atol=1e-4)
    nowhere = odeint(f, y0, torch.tensor([1.0, 1.0]), backend="native").require_ok()
    assert torch.equal(nowhere.ys, y0[:, None].expand(4, 2, 3))


# ---- failures


def exploding() -> Chain:
    """Grows by relu and a large positive weight."""
    f = Chain([2, 2, 2], activation=nn.ReLU, bias=False)
    with torch.no_grad():
        f.net[0].weight.copy_(torch.eye(2) * 30)
        f.net[2].weight.copy_(torch.eye(2))
    return f


@pytest.mark.parametrize(
    "options",
    [{"max_steps": 200}, {"solver": "rk4", "step_size": 0.5}, {"solver": "tsit5", "step_size": 0.5}],
    ids=str,
)
@pytest.mark.parametrize("backend", ["native", "plain"])
def test_a_sample_that_explodes_harms_no_other_nor_the_shared_gradient(
    backend: Any, options: dict[str, Any]
) -> None:
    f = exploding()
    y0 = torch.tensor([[1.0, 1.0], [-1.0, -2.0], [-0.5, -0.1]])
    t = torch.tensor([[0.0, 0.01, 60.0], [0.0, 0.5, 1.0], [0.0, 0.1, 0.3]])
    outcomes = []
    for rows in ([0, 1, 2], [1, 2]):
        start = y0[rows].requires_grad_()
        solution = odeint(f, start, t[rows], backend=backend, **options)
        ok = solution.result == Result.OK
        gradients = torch.autograd.grad(solution.ys[ok].square().sum(), [start, *f.parameters()])
        outcomes.append((ok[-2:].tolist(), solution.ys[-2:], gradients[0][-2:], *gradients[1:]))
        if len(rows) == 3:
            assert solution.result.tolist() == [Result.NONFINITE, Result.OK, Result.OK]
            assert gradients[0][0].tolist() == [0, 0]
            assert not bool(torch.isfinite(solution.ys[0, 2]).any())
    for with_it, without in zip(*outcomes, strict=True):
        torch.testing.assert_close(with_it, without, rtol=1e-6, atol=1e-7)


def test_too_many_steps_are_reported_and_the_reached_states_kept() -> None:
    f = Chain([3, 8, 3])
    with torch.no_grad():
        for layer in f.net[::2]:
            layer.weight.mul_(20)
    y0, t = torch.randn(20, 3), torch.tensor([0.0, 1e-4, 50.0])
    solution = odeint(f, y0, t, max_steps=7, backend="native")
    assert set(solution.result.tolist()) == {Result.MAX_STEPS}
    assert (solution.stats.accepted + solution.stats.rejected).tolist() == [7] * 20
    assert bool(torch.isfinite(solution.ys[:, :2]).all())
    assert bool(torch.isnan(solution.ys[:, 2]).all())


@pytest.mark.parametrize("backend", ["native", "plain"])
def test_a_state_that_overflows_under_a_bounded_slope_is_reported(backend: Any) -> None:
    f = Chain([1, 1, 1])
    with torch.no_grad():
        for parameter, value in zip(f.parameters(), (0.0, 20.0, 1e37, 0.0), strict=True):
            parameter.fill_(value)
    y0 = torch.tensor([[3e38], [-3e38]])
    solution = odeint(f, y0, torch.tensor([[0.0, 10.0], [0.0, 1.0]]), backend=backend)
    assert solution.result.tolist() == [Result.NONFINITE, Result.OK]


def test_a_weight_that_is_nan_fails_every_sample() -> None:
    f = Chain([3, 8, 3])
    with torch.no_grad():
        f.net[0].weight[0, 0] = torch.nan
    assert set(odeint(f, torch.randn(5, 3), torch.tensor([0.0, 1.0]), backend="native").result.tolist()) == {
        2
    }


# ---- when it applies, and what it says when it does not

T = torch.tensor([0.0, 1.0])


def test_auto_takes_the_kernel_and_says_so() -> None:
    method = odeint(Chain([3, 8, 3]), torch.randn(2, 3), T).method
    assert method == "native: the field is a chain of 2 linear layers in float32 on the CPU"


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        ({"f": bent}, "the field is not a chain of linear layers"),
        (
            {"f": Chain([3, 8, 3]).double(), "y0": torch.zeros(2, 3).double()},
            "the state is not a float32 matrix",
        ),
        ({"f": Network(), "y0": torch.zeros(2, 3, 1)}, "the state is not a float32 matrix"),
        ({"gradient": "checkpoint"}, "gradient='checkpoint' was asked for"),
        ({"gradient": "adjoint"}, "gradient='adjoint' was asked for"),
        ({"t": T.clone().requires_grad_()}, "the times need a gradient"),
    ],
    ids=["field", "double", "rank", "checkpoint", "adjoint", "times"],
)
def test_native_names_the_obstacle_where_it_cannot_solve(change: dict[str, Any], obstacle: str) -> None:
    given = {"f": Chain([3, 8, 3]), "y0": torch.zeros(2, 3), "t": T} | change
    with pytest.raises(
        ValueError, match=f"backend='native' cannot solve this: {obstacle}.*Use backend='auto'"
    ):
        odeint(given.pop("f"), given.pop("y0"), given.pop("t"), **given, backend="native")


def test_a_layer_that_does_not_fit_the_state_is_left_to_the_field_s_own_error() -> None:
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        odeint(Chain([3, 8, 3]), torch.zeros(2, 4), T)


class Scaled(Chain):
    """A field whose scale, an ordinary number, may change after it was read."""

    scale = 1

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        slope = super().forward(t, y)
        return slope if self.scale == 1 else slope * self.scale


def test_a_field_that_changes_after_it_was_read_is_solved_as_it_is() -> None:
    f, y0 = Scaled([3, 8, 3]), torch.randn(4, 3)
    assert odeint(f, y0, T).method.startswith("native")
    f.scale = 3
    solution = odeint(f, y0, T)
    assert solution.method.startswith("plain")
    assert torch.equal(solution.ys, odeint(f, y0, T, backend="plain").ys)


def test_a_network_that_is_replaced_after_it_was_read_is_solved_as_it_is() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3)
    odeint(f, y0, T)
    f.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3))
    assert torch.equal(odeint(f, y0, T).ys, odeint(f, y0, T, backend="plain").ys) or torch.allclose(
        odeint(f, y0, T).ys, odeint(f, y0, T, backend="plain").ys, atol=1e-4
    )


def test_weights_may_be_trained_or_replaced_between_solves() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3)
    odeint(f, y0, T)
    with torch.no_grad():
        f.net[0].weight.mul_(2)
    f.net[2].weight = nn.Parameter(torch.randn(3, 8))
    solution = odeint(f, y0, T, backend="native")
    torch.testing.assert_close(solution.ys, odeint(f, y0, T, backend="plain").ys, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("where", ["field", "layer", "container"])
@pytest.mark.parametrize("when", ["before it was read", "afterwards"])
def test_hooks_run(where: str, when: str) -> None:
    """A hook may change what a module computes, or its gradient; the kernel would not know."""
    f, y0 = (
        Chain([3, 8, 3], bias=False),
        torch.zeros(4, 3),
    )  # at zero, every slope is zero: nothing to compare
    y0[1:] = torch.randn(3, 3)
    module = {"field": f, "layer": f.net[0], "container": f.net}[where]
    if when == "afterwards":
        odeint(f, y0, T)
    calls = []
    handle = module.register_forward_hook(lambda module, given, output: (calls.append(1), output * 2)[1])
    solution, expected = odeint(f, y0, T), odeint(f, y0, T, backend="plain")
    assert solution.method.startswith("plain")
    assert torch.equal(solution.ys, expected.ys)
    handle.remove()
    assert torch.equal(odeint(f, y0, T, backend="plain").ys, odeint(f, y0, T, backend="plain").ys)


@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_a_weight_that_a_hook_computes_gets_its_gradient() -> None:
    """The old weight_norm keeps a Linear whose weight is computed before every call."""
    f = Chain([3, 8, 3])
    torch.nn.utils.weight_norm(f.net[0])
    y0 = torch.randn(4, 3)
    odeint(f, y0, T).ys.square().sum().backward()
    gradient = f.net[0].weight_v.grad
    assert gradient is not None
    f.zero_grad()
    odeint(f, y0, T, backend="plain").ys.square().sum().backward()
    torch.testing.assert_close(gradient, f.net[0].weight_v.grad, rtol=1e-2, atol=1e-4)


# ---- the tape


def test_a_weight_changed_in_place_before_the_way_back_is_an_error() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3, requires_grad=True)
    ys = odeint(f, y0, T, backend="native").ys
    with torch.no_grad():
        f.net[0].weight.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        ys.sum().backward()


def test_a_start_changed_in_place_does_not_matter_because_the_tape_has_its_own() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3)
    start = y0.clone()
    ys = odeint(f, start, T, backend="native").ys
    start.zero_()
    again = odeint(f, y0, T, backend="native").ys
    gradients, expected = (torch.autograd.grad(x.square().sum(), list(f.parameters())) for x in (ys, again))
    assert all(torch.equal(a, b) for a, b in zip(gradients, expected, strict=True))


def test_the_way_back_can_be_gone_twice() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(40, 3, requires_grad=True)
    loss = odeint(f, y0, T, backend="native").ys.square().sum()
    first, second = (torch.autograd.grad(loss, [y0, *f.parameters()], retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_second_derivative_is_refused() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3, requires_grad=True)
    loss = odeint(f, y0, T, backend="native").ys.sum()
    with pytest.raises(SolverError, match=r"native kernel has no second derivative\. Use backend='plain'"):
        torch.autograd.grad(loss, y0, create_graph=True)


def test_only_what_needs_a_gradient_gets_one() -> None:
    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3, requires_grad=True)
    f.requires_grad_(False)
    odeint(f, y0, T, backend="native").ys.sum().backward()
    assert y0.grad is not None
    assert all(p.grad is None for p in f.parameters())


def test_the_tape_dies_with_its_solution() -> None:
    ys = odeint(Chain([3, 8, 3]), torch.randn(4, 3), T, backend="native").ys
    call: Any = ys.grad_fn.call  # type: ignore[union-attr]
    assert call.tape
    alive = weakref.ref(call)
    released: list[int] = []
    real = call.library
    call.library = Library(_Watching(real.handle, released))
    del call, ys
    gc.collect()
    assert alive() is None
    assert len(released) == 1


class _Watching:
    """The library, with its releases noted."""

    def __init__(self, handle: Any, released: list[int]) -> None:
        self._handle, self._released = handle, released

    def homeostat_release(self, tape: Any) -> None:
        self._released.append(tape.value)
        self._handle.homeostat_release(tape)


def test_no_tape_is_kept_where_no_gradient_can_be_asked() -> None:
    from homeostat.ode import native

    tapes = []
    original = native._Call.__del__

    class Noted(native._Call):
        def __del__(self) -> None:
            tapes.append(self.tape)
            original(self)

    f, y0 = Chain([3, 8, 3]), torch.randn(4, 3, requires_grad=True)
    saved, native._Call = native._Call, Noted  # type: ignore[misc]
    try:
        with torch.no_grad():
            odeint(f, y0, T, backend="native")
        with torch.inference_mode():
            odeint(f, y0, T, backend="native")
    finally:
        native._Call = saved  # type: ignore[misc]
    gc.collect()
    assert tapes == [None, None]


# ---- activations over all floats


def every_float() -> Tensor:
    """Floats of both signs and of every exponent, and a fine grid where activations bend."""
    bits = torch.arange(0, 0x7F800000, 7919, dtype=torch.int64).to(torch.int32).view(torch.float32)
    bends = torch.cat([torch.linspace(0, 110, 100_001), 10 ** torch.linspace(-8, 2.1, 50_001)])
    named = torch.tensor([0.0, 20.0, 10.0, 1e-5, 88.73, torch.inf])
    half = torch.cat([bits, bends, named])
    z = torch.cat([half, -half])
    return z[: len(z) // 16 * 16].contiguous()


def ulp(x: Tensor) -> Tensor:
    """The distance of each value to the next float."""
    size = x.abs().clamp_max(torch.finfo(torch.float32).max / 2)
    return (torch.nextafter(size, torch.tensor(torch.inf)) - size).double()


# Slopes are computed from outputs, as in torch. Beside 1, four ulp of an output move a slope by so much; silu's slope
# sums terms as large as its input.
ACTIVATIONS: dict[str, tuple[int, Any, float]] = {
    "tanh": (1, torch.tanh, 8 * 2**-24),
    "sigmoid": (2, torch.sigmoid, 4 * 2**-24),
    "relu": (3, torch.relu, 0.0),
    "softplus": (4, functional.softplus, 0.0),
    "elu": (5, functional.elu, 0.0),
    "silu": (6, functional.silu, 16 * 2**-24),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_slopes_are_torch_s_over_all_floats(name: str) -> None:
    kind, function, absolute = ACTIVATIONS[name]
    library = load_library()
    assert isinstance(library, Library)
    z = every_float()
    value, slope = torch.empty_like(z), torch.empty_like(z)
    pointers = (ctypes.c_void_p(x.data_ptr()) for x in (z, value, slope))
    library.handle.homeostat_activate(*pointers, ctypes.c_int64(len(z)), ctypes.c_int64(kind))
    z.requires_grad_()
    expected = function(z)
    (derivative,) = torch.autograd.grad(expected.sum(), z)
    for ours, theirs, room in ((value, expected.detach(), 0.0), (slope, derivative, absolute)):
        assert torch.equal(ours.isnan(), theirs.isnan())
        assert torch.equal(ours.isinf(), theirs.isinf())
        finite = torch.isfinite(theirs)
        gap = (ours.double() - theirs.double())[finite].abs()
        excess = gap - 4 * ulp(theirs[finite]) - room
        worst = int(excess.argmax())
        assert excess[worst] <= 0, (z[finite][worst], ours[finite][worst], theirs[finite][worst])


@pytest.mark.parametrize(
    ("name", "z"), [("sigmoid", -20.0), ("softplus", -20.0), ("elu", -1e-5), ("tanh", 10.0), ("silu", -30.0)]
)
def test_tails_that_were_once_wrong(name: str, z: float) -> None:
    kind, function, _ = ACTIVATIONS[name]
    library = load_library()
    assert isinstance(library, Library)
    x, value, slope = torch.full((16,), z), torch.empty(16), torch.empty(16)
    pointers = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, value, slope))
    library.handle.homeostat_activate(*pointers, ctypes.c_int64(16), ctypes.c_int64(kind))
    x.requires_grad_()
    expected = function(x)
    torch.testing.assert_close(value, expected.detach(), rtol=5e-7, atol=0)
    torch.testing.assert_close(slope, torch.autograd.grad(expected.sum(), x)[0], rtol=5e-7, atol=0)


def test_the_kernel_passes_on_nan() -> None:
    library = load_library()
    assert isinstance(library, Library)
    for kind in range(7):
        x, value, slope = torch.full((16,), torch.nan), torch.zeros(16), torch.zeros(16)
        pointers = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, value, slope))
        library.handle.homeostat_activate(*pointers, ctypes.c_int64(16), ctypes.c_int64(kind))
        assert bool(value.isnan().all()), kind
