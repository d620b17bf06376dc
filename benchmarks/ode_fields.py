"""Solve random fields through `backend="auto"`, and compare every value and gradient with the plain solver in float64.

A field is drawn from kinds that the recogniser of the native kernel has to tell apart: chains in every spelling,
frozen, shared, tied and copied layers, weights from functional_call and hypernetworks, low-rank updates, gates, hooks,
patched forwards, parts without gradients, modes, physics. Many are changed between two solves. Steps are fixed, so
that both precisions take the same ones. Where single precision itself cannot carry a figure, the error of the plain
solver in float32 is the measure: at most ten times as much, and 5e-7 of the largest gradient.

    python benchmarks/ode_fields.py [--count N] [--seed N] [--first N]
"""

import argparse
import collections
import copy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils import parametrize

from homeostat.ode import odeint

VALUE, GRADIENT = 1e-6, 1e-5
ACTIVATIONS: list[Callable[[Tensor], Tensor]] = [
    torch.tanh,
    torch.sigmoid,
    functional.softplus,
    functional.silu,
    functional.elu,
    torch.relu,
]
MODULES = [nn.Tanh, nn.Sigmoid, nn.Softplus, nn.SiLU, nn.ELU, nn.ReLU]


@dataclass
class Draw:
    """One random field: modules whose tensors get gradients, and how they compute a slope."""

    parts: nn.ModuleDict
    slope: Callable[[nn.ModuleDict, Tensor, Tensor], Tensor]
    change: Callable[[nn.ModuleDict], object] = lambda parts: None
    """Happens after a first solve, whose result is thrown away."""
    prepare: Callable[[nn.ModuleDict], object] = lambda parts: None
    """Happens before every solve."""
    dim: int = 3


class Rng:
    """Random choices from one generator of torch."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def below(self, n: int) -> int:
        return int(torch.randint(n, (), generator=self.generator))

    def chance(self, share: float) -> bool:
        return self.normal(()).item() < 1.4142 * torch.erfinv(torch.tensor(2 * share - 1)).item()

    def normal(self, shape: tuple[int, ...], scale: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=self.generator) * scale


def linear(rng: Rng, a: int, b: int, bias: bool = True) -> nn.Linear:
    layer = nn.Linear(a, b, bias=bias)
    with torch.no_grad():
        layer.weight.copy_(rng.normal((b, a), 1.0 / a**0.5))
        if bias:
            layer.bias.copy_(rng.normal((b,), 0.3))
    return layer


def stack(rng: Rng, dim: int, smooth: bool = False) -> nn.Sequential:
    """Return a chain of one to three linear layers."""
    widths = [dim, *(2 + rng.below(9) for _ in range(rng.below(3))), dim]
    layers: list[nn.Module] = []
    for a, b in zip(widths, widths[1:], strict=False):
        which = rng.below(4 if smooth else 6)
        layers += [linear(rng, a, b, bias=rng.chance(0.8)), MODULES[which]()]
    if rng.chance(0.7):
        layers.pop()
    size = 10.0 ** (-rng.below(10)) if rng.chance(0.2) else 1.0
    last = [layer for layer in layers if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        for p in last.parameters():
            p.mul_(size)
    return nn.Sequential(*layers)


def net_of(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
    return parts["net"](y)


def chain(rng: Rng) -> Draw:
    dim = 1 + rng.below(5)
    net = stack(rng, dim)
    if rng.chance(0.3):
        for p in net.parameters():
            p.requires_grad_(rng.chance(0.5))
    return Draw(nn.ModuleDict({"net": net}), net_of, dim=dim)


def timed(rng: Rng) -> Draw:
    dim, first, spelling = 1 + rng.below(4), rng.chance(0.5), rng.below(3)
    a, b, act = linear(rng, dim + 1, 5), linear(rng, 5, dim), ACTIVATIONS[rng.below(4)]

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        column = t[:, None] if spelling == 0 else t.unsqueeze(-1)
        column = 2 * column if spelling == 2 else column
        return parts["b"](act(parts["a"](torch.cat([column, y] if first else [y, column], dim=1))))

    return Draw(nn.ModuleDict({"a": a, "b": b}), slope, dim=dim)


def shared(rng: Rng) -> Draw:
    layer, tied, act = linear(rng, 3, 3), linear(rng, 3, 3), ACTIVATIONS[rng.below(4)]
    if rng.chance(0.5):
        tied.weight = layer.weight
    return Draw(
        nn.ModuleDict({"layer": layer, "tied": tied}),
        lambda parts, t, y: parts["tied"](act(parts["layer"](act(parts["layer"](y))))),
    )


def copied(rng: Rng) -> Draw:
    net = stack(rng, 3)

    def change(parts: nn.ModuleDict) -> None:
        if rng.chance(0.5):
            parts["net"] = copy.deepcopy(parts["net"])
        else:
            parts["net"][0] = copy.deepcopy(parts["net"][0])

    return Draw(nn.ModuleDict({"net": net}), net_of, change)


def given_weights(rng: Rng) -> Draw:
    """functional_call with weights of equal, moved or computed values."""
    net = stack(rng, 3)
    how, shift = rng.below(3), rng.normal((), 0.1)
    other = copy.deepcopy(net)
    scale = nn.ParameterDict({"scale": nn.Parameter(torch.tensor(1.0 + (0.1 if how == 2 else 0.0)))})

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        names = dict(parts["other"].named_parameters())
        if how == 1:
            names = {name: p + shift.to(p) for name, p in names.items()}
        if how == 2:
            names = {name: p * parts["scale"]["scale"] for name, p in names.items()}
        return functional_call(parts["net"], names, (y,))

    return Draw(nn.ModuleDict({"net": net, "other": other, "scale": scale}), slope)


def outer_weights(rng: Rng) -> Draw:
    """Weights that were computed once, before the solve, and carry a graph."""
    net = stack(rng, 3)
    hyper = linear(rng, 2, sum(p.numel() for p in net.parameters()))
    code = rng.normal((2,), 0.5)
    held: dict[str, Tensor] = {}

    def compute(parts: nn.ModuleDict) -> None:
        flat, begin = parts["hyper"](code.to(parts["hyper"].weight)), 0
        for name, p in parts["net"].named_parameters():
            held[name] = flat[begin : begin + p.numel()].view_as(p)
            begin += p.numel()

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        return functional_call(parts["net"], held, (y,))

    return Draw(nn.ModuleDict({"net": net, "hyper": hyper}), slope, prepare=compute)


class LowRank(nn.Module):
    def __init__(self, base: nn.Linear, rng: Rng, begin: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Parameter(rng.normal((2, base.in_features)))
        self.up = nn.Parameter(rng.normal((base.out_features, 2), begin))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + x @ self.down.T @ self.up.T


def low_rank(rng: Rng) -> Draw:
    net = stack(rng, 3)
    begin = 0.0 if rng.chance(0.5) else 0.2

    def change(parts: nn.ModuleDict) -> None:
        parts["net"][0] = LowRank(parts["net"][0], rng, begin).to(parts["net"][0].weight.dtype)

    return Draw(nn.ModuleDict({"net": net}), net_of, change)


def merged(rng: Rng) -> Draw:
    """A low-rank update inside the weight, by a parametrisation."""

    class Update(nn.Module):
        def __init__(self, shape: torch.Size) -> None:
            super().__init__()
            self.down, self.up = (
                nn.Parameter(rng.normal((2, shape[1]))),
                nn.Parameter(torch.zeros(shape[0], 2)),
            )

        def forward(self, weight: Tensor) -> Tensor:
            return weight + self.up @ self.down

    net = stack(rng, 3)

    def change(parts: nn.ModuleDict) -> None:
        layer = parts["net"][0]
        parametrize.register_parametrization(
            layer, "weight", Update(layer.weight.shape).to(layer.weight.dtype)
        )

    return Draw(nn.ModuleDict({"net": net}), net_of, change)


def gated(rng: Rng) -> Draw:
    net = stack(rng, 3)
    gate = nn.ParameterDict({"gate": nn.Parameter(torch.zeros(()) if rng.chance(0.7) else rng.normal(()))})
    flags, kind = {"on": rng.chance(0.3)}, rng.below(3)

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        value, g = parts["net"](y), parts["gate"]["gate"]
        if not flags["on"]:
            return value
        return (value + g * torch.sin(y), value * (1 + g), value + g)[kind]

    return Draw(
        nn.ModuleDict({"net": net, "gate": gate}),
        slope,
        lambda parts: flags.update(on=not flags["on"]),
    )


def without_gradient(rng: Rng) -> Draw:
    a, b, where = linear(rng, 3, 6), linear(rng, 6, 3), rng.below(4)

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        on = torch.is_grad_enabled()
        with torch.set_grad_enabled(on and where not in (0, 2)):
            y = torch.tanh(parts["a"](y.detach() if where == 3 else y))
        with torch.set_grad_enabled(on and where not in (1, 2)):
            return parts["b"](y)

    return Draw(nn.ModuleDict({"a": a, "b": b}), slope)


def hooked(rng: Rng) -> Draw:
    net = stack(rng, 3)
    kind = rng.below(4)

    def change(parts: nn.ModuleDict) -> None:
        layer = parts["net"] if rng.chance(0.3) else parts["net"][0]
        if kind == 0:
            layer.register_forward_hook(lambda module, given, output: output * 1.5)
        elif kind == 1:
            layer.register_forward_pre_hook(lambda module, given: (given[0] * 1.5,))
        elif kind == 2:
            layer.register_full_backward_hook(lambda module, gi, go: (gi[0] * 2,))
        else:
            original, layer = parts["net"][0].forward, parts["net"][0]
            layer.forward = lambda x: original(x) * 1.5

    return Draw(nn.ModuleDict({"net": net}), net_of, change)


def physics(rng: Rng) -> Draw:
    net = stack(rng, 2, smooth=True)
    constants = nn.ParameterDict({"k": nn.Parameter(rng.normal(()).abs() + 0.5)})
    kind = rng.below(4)

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        a, b = y[:, :1], y[:, 1:]
        k = parts["constants"]["k"]
        if kind == 0:  # predator and prey
            return torch.cat([a * (k - b), b * (a - 1)], dim=1)
        if kind == 1:  # a pendulum with learned friction
            return torch.cat([b, -k * torch.sin(a)], dim=1) + 0.1 * parts["net"](y)
        if kind == 2:  # van der Pol
            return torch.cat([b, k * (1 - a * a) * b - a], dim=1)
        return parts["net"](y) - k * y

    return Draw(nn.ModuleDict({"net": net, "constants": constants}), slope, dim=2)


def branched(rng: Rng) -> Draw:
    """Another network for another state, time or mode."""
    a = stack(rng, 3)
    b = stack(rng, 3)
    kind, flags = rng.below(3), {"second": False}

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        if kind == 0:
            return parts["b" if parts.training else "a"](y)
        if kind == 1:
            return parts["b" if flags["second"] else "a"](y)
        weight = torch.sigmoid(50 * (t[:, None] - 0.1))
        return weight * parts["b"](y) + (1 - weight) * parts["a"](y)

    def change(parts: nn.ModuleDict) -> None:
        parts.train(not parts.training)
        flags["second"] = True

    return Draw(nn.ModuleDict({"a": a, "b": b}), slope, change)


def rewritten(rng: Rng) -> Draw:
    """Weights moved, replaced or set in place between the solves, or written into inside the field."""
    net = stack(rng, 3)
    kind = rng.below(4)
    buffer = [rng.normal((3, 3)), rng.normal((3,))]

    def slope(parts: nn.ModuleDict, t: Tensor, y: Tensor) -> Tensor:
        if kind == 2:
            return functional.linear(parts["net"](y), *(x.to(y) for x in buffer))
        value = parts["net"](y)
        return functional.linear(value, buffer[0].to(y)).mul_(1.5) if kind == 3 else value

    def change(parts: nn.ModuleDict) -> None:
        layer = parts["net"][0]
        with torch.no_grad():
            layer.weight.add_(0.1)
        if kind == 1:
            layer.weight = nn.Parameter(layer.weight.detach() * 0.5)

    return Draw(nn.ModuleDict({"net": net}), slope, change)


KINDS: dict[str, Callable[[Rng], Draw]] = {
    "chain": chain,
    "time": timed,
    "shared": shared,
    "copied": copied,
    "functional_call": given_weights,
    "computed weights": outer_weights,
    "low rank": low_rank,
    "parametrised": merged,
    "gate": gated,
    "no gradient": without_gradient,
    "hooks and patches": hooked,
    "physics": physics,
    "branches": branched,
    "rewritten": rewritten,
}


def draw_of(name: str, seed: int) -> tuple[Draw, Rng]:
    rng = Rng(seed)
    return KINDS[name](rng), rng


def solve(draw: Draw, y0: Tensor, t: Tensor, options: dict[str, Any], backend: Any) -> tuple[Any, list[Any]]:
    start = y0.clone().requires_grad_()
    draw.prepare(draw.parts)
    solution = odeint(lambda t, y: draw.slope(draw.parts, t, y), start, t, backend=backend, **options)
    weigh = torch.cos(torch.arange(solution.ys.numel(), dtype=y0.dtype)).reshape(solution.ys.shape)
    inputs = [start, *(p for p in draw.parts.parameters() if p.requires_grad)]
    loss = (solution.ys * weigh).sum()
    gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
    return solution, [solution.ys.detach(), *gradients]


def once(seed: int) -> tuple[str, str, list[str], int]:
    """Return kind and backend, what was wrong, and how many figures single precision itself could not carry."""
    names = list(KINDS)
    name = names[seed % len(names)]
    rows = Rng(seed + 1_000_003)
    batch, steps = 1 + rows.below(3), 1 + rows.below(2)
    span = 0.1 + 0.2 * rows.below(5)
    solver = ("rk4", "tsit5", "heun", "dopri5", "midpoint", "bosh3")[rows.below(6)]
    options: dict[str, Any] = {"solver": solver, "step_size": 1.001 * span / steps}
    results: list[list[Any]] = []
    methods: list[str] = []
    for dtype, backend in ((torch.float32, "auto"), (torch.float64, "plain"), (torch.float32, "plain")):
        if len(results) == 2 and not compare(results)[0]:
            break
        draw, _ = draw_of(name, seed)
        draw.parts.to(dtype)
        y0 = Rng(seed + 2_000_003).normal((batch, draw.dim)).to(dtype)
        t = torch.tensor([0.0, 0.6 * span, span]).to(dtype)
        if backend == "auto":
            draw.prepare(draw.parts)
            odeint(lambda t, y, draw=draw: draw.slope(draw.parts, t, y), y0, t, **options)
        draw.change(draw.parts)
        solution, figures = solve(draw, y0, t, options, backend)
        results.append(figures)
        methods.append(solution.method.split(":")[0])
    return name, methods[0], *compare(results)


def compare(results: list[list[Any]]) -> tuple[list[str], int]:
    """Compare figures with the truth; where they are off, with what plain float32 makes of them."""
    figures, truth, *plain = results
    wrong, weak = [], 0
    # A gradient that is a small difference of large terms carries their rounding.
    largest = max((float(b.abs().max()) for b in truth[1:] if b is not None), default=0.0)
    for index, (a, b) in enumerate(zip(figures, truth, strict=True)):
        if (a is None) != (b is None):
            wrong.append(f"figure {index}: {'no' if a is None else 'a'} gradient")
            continue
        if a is None:
            continue
        if torch.equal(finite := torch.isfinite(b), torch.isfinite(a)):  # physics may explode, in both alike
            a, b = torch.where(finite, a, 0), torch.where(finite, b, 0)
        scale = float(b.abs().max())
        error = float((a.double() - b).abs().max())
        bound = (GRADIENT if index else VALUE) * scale
        if not error <= bound:
            own = float((plain[0][index].double() - b).abs().max()) if plain else 0.0
            if plain and error <= 10 * own + 5e-7 * (largest if index else scale):
                weak += 1
            else:
                wrong.append(f"figure {index}: {error:.2e} of {scale:.2e}, plain float32 {own:.2e}")
    return wrong, weak


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other fields")
    parser.add_argument("--first", type=int, default=0, help="number of the first field, to repeat one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    begin = time.process_time()
    ran: collections.Counter[tuple[str, str]] = collections.Counter()
    wrong, weak = 0, 0
    for number in range(options.first, options.first + options.count):
        name, backend, faults, weaker = once(options.seed * 10_000_019 + number)
        ran[name, backend] += 1
        weak += weaker
        if faults:
            wrong += 1
            print(f"field {number} ({name}, {backend}): {'; '.join(faults)}", flush=True)
    print(f"{'kind':20} native  plain")
    for name in KINDS:
        print(f"{name:20} {ran[name, 'native']:6} {ran[name, 'plain']:6}")
    native = sum(count for (_, backend), count in ran.items() if backend == "native")
    print(
        f"{options.count} fields, {native} by the kernel, {wrong} wrong; {weak} figures that float32 itself cannot "
        f"carry to {VALUE:g} (values) or {GRADIENT:g} (gradients); {time.process_time() - begin:.0f} s of one core"
    )
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
