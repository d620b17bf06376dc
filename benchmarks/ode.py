"""Time `homeostat.ode`, forward and backward, against torchdiffeq and torchode at equal achieved error.

Every system climbs a ladder of tolerances; its error is measured against a float64 reference, and its time at a
target error is that of its cheapest rung at or below the target. Nominal tolerances are never compared. Systems take
turns within one run, so that a slow minute of the machine is slow for all.

    python benchmarks/ode.py [--threads N] [--rounds N] [--rows NAME ...] [--targets E ...]
"""

import argparse
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchdiffeq
from torch import Tensor, nn

from homeostat.ode import odeint


class _AnyShape:
    """Stands for torchtyping.TensorType, which torchode uses in annotations only and torch 2.13 cannot import."""

    def __class_getitem__(cls, _: object) -> type:
        return Tensor


sys.modules["torchtyping"] = types.SimpleNamespace(TensorType=_AnyShape, is_float=None)  # type: ignore[assignment]
import torchode  # noqa: E402  needs the stand-in above

RUNGS = tuple(10.0 ** (-k / 2) for k in range(2, 12))
"""Relative tolerances from 1e-1 to 3e-6; float32 carries no smaller one."""


class Field(nn.Module):
    """The vector field as a user writes it: three linear layers with tanh between."""

    def __init__(self, state: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(state, hidden),
            nn.Tanh(),
            nn.Linear(hidden, hidden),
            nn.Tanh(),
            nn.Linear(hidden, state),
        )

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y)


@dataclass(frozen=True)
class Row:
    name: str
    field: Field
    y0: Tensor
    t: Tensor
    """Observation times (B, T)."""


@dataclass(frozen=True)
class Measured:
    error: float
    gradient_error: float
    evaluations: float
    seconds: float


Solve = Callable[[Row, Field, Tensor, Tensor, float], tuple[Tensor, float]]


def homeostat_solve(solver: str) -> Solve:
    def solve(row: Row, field: Field, y0: Tensor, t: Tensor, rtol: float) -> tuple[Tensor, float]:
        solution = odeint(field, y0, t, solver=solver, rtol=rtol, atol=rtol * 0.1)
        return solution.ys, solution.stats.evaluations.double().mean().item()

    return solve


def torchdiffeq_solve(row: Row, field: Field, y0: Tensor, t: Tensor, rtol: float) -> tuple[Tensor, float]:
    # torchdiffeq knows one time grid per batch: the union of all, from which each sample takes its own.
    grid, index = torch.unique(t, return_inverse=True)
    ys = torchdiffeq.odeint(field, y0, grid, rtol=rtol, atol=rtol * 0.1, method="dopri5")
    return ys[index, torch.arange(len(y0))[:, None]], float("nan")


def torchode_solve(method: type) -> Solve:
    def solve(row: Row, field: Field, y0: Tensor, t: Tensor, rtol: float) -> tuple[Tensor, float]:
        term = torchode.ODETerm(field)
        controller = torchode.IntegralController(atol=rtol * 0.1, rtol=rtol, term=term)
        solver = torchode.AutoDiffAdjoint(method(term=term), controller)
        solution = solver.solve(torchode.InitialValueProblem(y0=y0, t_eval=t))
        return solution.ys, solution.stats["n_f_evals"].double().mean().item()

    return solve


SYSTEMS: dict[str, tuple[Solve, ...]] = {
    "homeostat": (homeostat_solve("tsit5"), homeostat_solve("dopri5")),
    "torchdiffeq": (torchdiffeq_solve,),
    "torchode": (torchode_solve(torchode.Tsit5), torchode_solve(torchode.Dopri5)),
}


def make_rows() -> list[Row]:
    rows = []
    for batch, state, hidden in ((64, 32, 64), (64, 64, 128), (256, 32, 64)):
        for span in (1.0, 48.0):
            field, y0 = Field(state, hidden), torch.randn(batch, state)
            t = torch.tensor([0.0, span]).expand(batch, 2).contiguous()
            rows.append(Row(f"{batch} x {state}, hidden {hidden}, span {span:g}", field, y0, t))
    rows.append(stiff_row())
    field, y0 = Field(32, 64), torch.randn(64, 32)
    t = torch.cat([torch.zeros(64, 1), torch.rand(64, 20).sort(1).values * 48], dim=1)
    rows.append(Row("64 x 32, hidden 64, ragged: 20 own times", field, y0, t))
    return rows


def stiff_row() -> Row:
    """Four of 64 samples relax at a rate of 60; in the others a constant of the state switches the fast units off.

    Off means saturated, so that their derivative vanishes too: a sample whose fast directions merely rest would let
    the steps grow until the gradient, which still sees those directions, explodes (in every system).
    """
    field, y0 = Field(32, 64), torch.randn(64, 32)
    first, second, last = (layer for layer in field.net if isinstance(layer, nn.Linear))
    fast, switch, units = slice(27, 31), 31, slice(56, 60)
    with torch.no_grad():
        for layer, rows in ((first, slice(56, 61)), (second, units), (last, slice(27, 32))):
            layer.weight[rows] = 0
            layer.bias[rows] = 0
        first.weight[units, fast] = torch.eye(4)
        first.weight[56:61, switch] = 6
        second.weight[units, units] = torch.eye(4) / 2
        second.weight[units, 60] = -1 / 2
        last.weight[fast, units] = -120 * torch.eye(4)
    y0[:, switch] = 1
    y0[:4, switch] = 0
    return Row(
        "64 x 32, hidden 64, span 4, 4 stiff samples", field, y0, torch.tensor([0.0, 4.0]).repeat(64, 1)
    )


def loss_of(ys: Tensor) -> Tensor:
    return ys[:, 1:].square().sum()


def once(row: Row, solve: Solve, rtol: float) -> tuple[Tensor, list[Tensor], float]:
    row.field.zero_grad()
    ys, evaluations = solve(row, row.field, row.y0, row.t, rtol)
    loss_of(ys).backward()
    return ys.detach(), [p.grad.clone() for p in row.field.parameters()], evaluations


def reference(row: Row) -> tuple[Tensor, list[Tensor]]:
    """torchdiffeq in float64 at 1e-10: a peer's arithmetic, not ours."""
    field = Field(row.y0.shape[1], row.field.net[0].out_features).double()
    field.load_state_dict(row.field.state_dict())
    ys, _ = torchdiffeq_solve(row, field, row.y0.double(), row.t.double(), 1e-10)
    loss_of(ys).backward()
    return ys.detach(), [p.grad for p in field.parameters()]


def relative(values: list[Tensor], truth: list[Tensor]) -> float:
    gap = sum((a.double() - b).square().sum() for a, b in zip(values, truth, strict=True))
    return float((gap / sum(b.square().sum() for b in truth)).sqrt())


def count_torchdiffeq(row: Row, rtol: float) -> float:
    calls = 0

    def counted(t: Tensor, y: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return row.field(t, y)

    with torch.no_grad():
        torchdiffeq_solve(row, counted, row.y0, row.t, rtol)
    return calls


def climb(row: Row, rounds: int) -> dict[str, list[Measured]]:
    """Errors of every rung first, then the times of all rungs of all systems in turn."""
    ys_true, gradient_true = reference(row)
    rungs = []
    for name, solves in SYSTEMS.items():
        for solve in solves:
            for rtol in RUNGS:
                ys, gradient, evaluations = once(row, solve, rtol)
                if name == "torchdiffeq":
                    evaluations = count_torchdiffeq(row, rtol)
                error = relative([ys[:, 1:]], [ys_true[:, 1:]])
                rungs.append((name, solve, rtol, error, relative(gradient, gradient_true), evaluations))
    seconds = time_in_turns([lambda s=solve, r=rtol: once(row, s, r) for _, solve, rtol, *_ in rungs], rounds)
    results: dict[str, list[Measured]] = {name: [] for name in SYSTEMS}
    for (name, _, _, error, gradient_error, evaluations), spent in zip(rungs, seconds, strict=True):
        results[name].append(Measured(error, gradient_error, evaluations, spent))
    return results


def time_in_turns(calls: list[Callable[[], object]], rounds: int) -> list[float]:
    spent: list[list[float]] = [[] for _ in calls]
    for turn in range(rounds + 1):
        for call, times in zip(calls, spent, strict=True):
            begin = time.perf_counter()
            call()
            if turn:
                times.append(time.perf_counter() - begin)
    return [statistics.median(times) for times in spent]


def cheapest(rungs: list[Measured], target: float) -> Measured | None:
    return min((m for m in rungs if m.error <= target), key=lambda m: m.seconds, default=None)


def floors(row: Row, evaluations: int, rounds: int) -> tuple[float, float]:
    """Seconds of so many evaluations in a row, forward and backward: by hand in torch, and in our kernel."""
    hand = HandWritten(row, evaluations)

    def kernel() -> None:
        row.field.zero_grad()
        ys = odeint(
            row.field, row.y0, row.t[:, [0, -1]], solver="euler", step_size=1.001 * span / evaluations
        ).ys
        loss_of(ys).backward()

    span = float((row.t[:, -1] - row.t[:, 0]).max())
    torch_floor, kernel_floor = time_in_turns([hand, kernel], rounds * 3)
    return torch_floor, kernel_floor


class HandWritten:
    """A chain of evaluations with preallocated buffers, a written-out backward and one matrix product per weight."""

    def __init__(self, row: Row, count: int) -> None:
        batch, state = row.y0.shape
        layers = [layer for layer in row.field.net if isinstance(layer, nn.Linear)]
        self.weights = [layer.weight.detach() for layer in layers]
        self.biases = [layer.bias.detach() for layer in layers]
        self.y0, self.count = row.y0, count
        widths = [state, *(w.shape[0] for w in self.weights)]
        self.inputs = [torch.empty(count + 1, batch, width) for width in widths[:-1]]
        self.gradients = [torch.empty(count, batch, width) for width in widths[1:]]

    @torch.no_grad()
    def __call__(self) -> list[Tensor]:
        inputs, weights, count = self.inputs, self.weights, self.count
        inputs[0][0] = self.y0
        for k in range(count):
            torch.addmm(self.biases[0], inputs[0][k], weights[0].t(), out=inputs[1][k]).tanh_()
            torch.addmm(self.biases[1], inputs[1][k], weights[1].t(), out=inputs[2][k]).tanh_()
            torch.addmm(self.biases[2], inputs[2][k], weights[2].t(), out=inputs[0][k + 1])
        g = 2 * inputs[0][count]
        for k in range(count - 1, -1, -1):
            self.gradients[2][k] = g
            for layer in (2, 1):
                out, a = self.gradients[layer - 1][k], inputs[layer][k]
                torch.mm(g, weights[layer], out=out)
                torch.ops.aten.tanh_backward.grad_input(out, a, grad_input=out)
                g = out
            g = torch.mm(g, weights[0])
        pairs = zip(self.gradients, inputs, strict=True)
        products = [g.flatten(0, 1).t() @ x[:count].flatten(0, 1) for g, x in pairs]
        return products + [g.sum((0, 1)) for g in self.gradients]


def report(row: Row, results: dict[str, list[Measured]], target: float, rounds: int) -> list[float] | None:
    best = {name: cheapest(rungs, target) for name, rungs in results.items()}
    ours, diffeq, ode = best["homeostat"], best["torchdiffeq"], best["torchode"]
    if ours is None or diffeq is None or ode is None:
        missing = ", ".join(name for name, m in best.items() if m is None)
        print(f"| {row.name} | {target:.0e} | not reached in float32 by {missing} |")
        return None
    torch_floor, kernel_floor = floors(row, max(1, round(ours.evaluations)), rounds)
    ratios = [diffeq.seconds / ours.seconds, ode.seconds / ours.seconds]
    cells = [
        row.name,
        f"{target:.0e}",
        f"{ours.error:.0e} / {diffeq.error:.0e} / {ode.error:.0e}",
        f"{ours.gradient_error:.0e} / {diffeq.gradient_error:.0e} / {ode.gradient_error:.0e}",
        f"{ours.evaluations:.0f} / {diffeq.evaluations:.0f} / {ode.evaluations:.0f}",
        f"{1e3 * ours.seconds:.2f}",
        f"{ratios[0]:.1f}",
        f"{ratios[1]:.1f}",
        f"{ours.seconds / torch_floor:.2f}",
        f"{ours.seconds / kernel_floor:.2f}",
    ]
    print("| " + " | ".join(cells) + " |", flush=True)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=7, help="timed turns per setting; the median counts")
    parser.add_argument("--rows", nargs="*", default=[], help="only rows whose name contains one of these")
    parser.add_argument(
        "--targets", nargs="*", type=float, default=[1e-3, 1e-5], help="relative errors to reach"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    print(
        f"{platform.processor() or platform.machine()}, {options.threads} threads, torch {torch.__version__}"
    )
    print(
        f"torchdiffeq {torchdiffeq.__version__}, torchode 1.0.1; a / b / c: homeostat / torchdiffeq / torchode\n"
    )
    heads = [
        "row",
        "target error",
        "error",
        "gradient error",
        "evaluations",
        "ms",
        "x torchdiffeq",
        "x torchode",
    ]
    heads += ["of the torch floor", "of the kernel floor"]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    ratios = []
    for row in make_rows():
        if options.rows and not any(part in row.name for part in options.rows):
            continue
        results = climb(row, options.rounds)
        for target in options.targets:
            ratios.append(report(row, results, target, options.rounds))
    kept = torch.tensor([pair for pair in ratios if pair is not None])
    if len(kept):
        means, least = kept.log().mean(0).exp().tolist(), kept.amin(0).tolist()
        print(f"\nGeometric mean: {means[0]:.1f} x torchdiffeq, {means[1]:.1f} x torchode.")
        print(f"Least: {least[0]:.1f} x torchdiffeq, {least[1]:.1f} x torchode.")


if __name__ == "__main__":
    main()
