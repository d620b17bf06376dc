"""A field is read as a chain only where the chain computes what the field does; everything else is left alone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from homeostat.ode.chain import Chain, read_chain
from ode.problems import Network, bent

DIM, HIDDEN = 3, 5


def sequential() -> nn.Sequential:
    return nn.Sequential(nn.Linear(DIM, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, DIM))


def timed(*, first: bool, column: Callable[[Tensor], Tensor]) -> Any:
    a, b = nn.Linear(DIM + 1, HIDDEN), nn.Linear(HIDDEN, DIM)

    def field(t: Tensor, y: Tensor) -> Tensor:
        parts = [column(t), y] if first else [y, column(t)]
        return b(torch.tanh(a(torch.cat(parts, dim=-1))))

    return field


def closure(*steps: Callable[[Tensor], Tensor]) -> Any:
    def field(t: Tensor, y: Tensor) -> Tensor:
        for step in steps:
            y = step(y)
        return y

    return field


class Stepwise(nn.Module):
    """Linear layers and activations as they are often written: in a list, with a loop."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, DIM)]
        )
        self.activation = activation

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            y = self.activation(layer(y))
        return self.layers[-1](y)


class Bounded(nn.Module):
    """A chain that ends in an activation, without bias, with an idle part in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(DIM, HIDDEN, bias=False), nn.Identity(), nn.Sigmoid(), nn.Linear(HIDDEN, DIM), nn.Tanh()
        )

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y)


CHAINS: dict[str, Callable[[], Any]] = {
    "a module around Sequential": lambda: Network(DIM, HIDDEN, timed=False),
    "time after the state": lambda: Network(DIM, HIDDEN, timed=True),
    "a list of layers": lambda: Stepwise(torch.tanh),
    "functional tanh": lambda: Stepwise(functional.tanh),
    "functional relu": lambda: Stepwise(functional.relu),
    "functional sigmoid": lambda: Stepwise(torch.sigmoid),
    "functional softplus": lambda: Stepwise(functional.softplus),
    "functional elu": lambda: Stepwise(functional.elu),
    "functional silu": lambda: Stepwise(functional.silu),
    "method tanh": lambda: Stepwise(lambda x: x.tanh()),
    "no bias, an activation at the end": Bounded,
    "a closure": lambda: closure(sequential()),
    "a bound method": lambda: Network(DIM, HIDDEN).forward,
    "one layer": lambda: closure(nn.Linear(DIM, DIM)),
    "a layer used twice": lambda: closure(*[nn.Linear(DIM, DIM), nn.Tanh()] * 2, nn.Linear(DIM, DIM)),
    "two layers without activation between": lambda: closure(nn.Linear(DIM, HIDDEN), nn.Linear(HIDDEN, DIM)),
    "time first": lambda: timed(first=True, column=lambda t: t[:, None]),
    "time last, unsqueezed": lambda: timed(first=False, column=lambda t: t.unsqueeze(-1)),
    "time last, unsqueezed at 1": lambda: timed(first=False, column=lambda t: t.unsqueeze(1)),
}


def apply(chain: Chain, t: Tensor, y: Tensor) -> Tensor:
    """Compute with torch the field that the chain describes."""
    activations: list[Callable[[Tensor], Tensor]] = [
        lambda x: x,
        torch.tanh,
        torch.sigmoid,
        torch.relu,
        functional.softplus,
        functional.elu,
        functional.silu,
    ]
    column = t[:, None]
    x = y if chain.time_row < 0 else torch.cat([column, y] if chain.time_row == 0 else [y, column], dim=1)
    for weight, bias, kind in zip(chain.weights, chain.biases, chain.activations, strict=True):
        x = activations[kind](functional.linear(x, weight, bias))
    return x


def read(f: Any) -> Chain | str:
    return read_chain(f, torch.randn(1), torch.randn(1, DIM))


@pytest.mark.parametrize("name", CHAINS)
def test_what_is_read_computes_what_the_field_computes(name: str) -> None:
    f = CHAINS[name]()
    chain = read(f)
    assert isinstance(chain, Chain), chain
    t, y = torch.randn(7), torch.randn(7, DIM)
    torch.testing.assert_close(apply(chain, t, y), f(t, y), rtol=1e-6, atol=1e-7)


def test_the_layers_are_the_field_s_own_so_that_training_is_seen() -> None:
    f = Network()
    chain = read(f)
    assert isinstance(chain, Chain), chain
    assert [weight is own.weight for weight, own in zip(chain.weights, f.net[::2], strict=True)] == [True] * 3
    assert {id(p) for p in chain.parameters} == {id(p) for p in f.parameters()}


class Cubed(Network):
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([y**3, t[:, None]], dim=-1))


class Branching(Network):
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return super().forward(t, y) if bool(y.sum() > 0) else -y


class Residual(Network):
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return super().forward(t, y) - y


class Dropping(Network):
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return functional.dropout(super().forward(t, y), 0.1, self.training)


class LazyTime(Network):
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([y, 2 * t[:, None]], dim=-1))


class MyLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2


class AcrossSamples(Network):
    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(torch.cat([y, t[:, None]], dim=-1)[:, [0, 1, 2, 3]])


OTHERS: dict[str, Callable[[], Any]] = {
    "an ordinary function": lambda: bent,
    "the state cubed": Cubed,
    "control flow": Branching,
    "a residual": Residual,
    "dropout": Dropping,
    "time scaled": LazyTime,
    "an index": AcrossSamples,
    "a subclass of Linear": lambda: closure(MyLinear(DIM, DIM)),
    "two activations in a row": lambda: closure(nn.Linear(DIM, DIM), nn.Tanh(), nn.Tanh()),
    "an activation before the first layer": lambda: closure(nn.Tanh(), nn.Linear(DIM, DIM)),
    "an activation it does not know": lambda: closure(nn.Linear(DIM, DIM), nn.Mish(), nn.Linear(DIM, DIM)),
    "an activation with options of its own": lambda: closure(
        nn.Linear(DIM, DIM), nn.ELU(0.5), nn.Linear(DIM, DIM)
    ),
    "softmax": lambda: closure(nn.Linear(DIM, DIM), nn.Softmax(-1)),
    "layer norm": lambda: closure(nn.Linear(DIM, DIM), nn.LayerNorm(DIM)),
    "no layer": lambda: closure(torch.tanh),
    "a tensor of the samples": lambda: closure(lambda y: y + torch.ones(7, DIM), nn.Linear(DIM, DIM)),
    "a tensor beside the state": lambda: closure(
        lambda y: torch.cat([y, torch.ones(7, 1)], 1), nn.Linear(DIM + 1, DIM)
    ),
    "a weight that is normalised": lambda: closure(
        nn.utils.parametrizations.weight_norm(nn.Linear(DIM, DIM)), nn.Tanh(), nn.Linear(DIM, DIM)
    ),
    "a constant": lambda: lambda t, y: torch.zeros(7, DIM),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_a_chain_is_left_alone(name: str) -> None:
    assert isinstance(read(OTHERS[name]()), str)


def test_an_exception_of_the_field_is_left_for_the_solve_to_raise() -> None:
    def field(t: Tensor, y: Tensor) -> Tensor:
        raise ZeroDivisionError

    assert isinstance(read(field), str)


def test_time_concatenated_along_the_batch_is_not_the_time_as_an_input() -> None:
    layer = nn.Linear(DIM + 1, DIM)
    for dim in (0, 2):

        def field(t: Tensor, y: Tensor, dim: int = dim) -> Tensor:
            return layer(torch.cat([y, t[:, None]], dim=dim))

        assert isinstance(read(field), str)


@dataclass
class Unhashable:
    """A dataclass that compares by value cannot be hashed."""

    net: Any

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y)


class Slotted:
    """Cannot be referred to weakly."""

    __slots__ = ("net",)

    def __init__(self, net: Any) -> None:
        self.net = net

    def __call__(self, t: Tensor, y: Tensor) -> Tensor:
        return self.net(y)


@pytest.mark.parametrize(
    "kind", [Unhashable, Slotted, lambda net: functools.partial(lambda net, t, y: net(y), net)]
)
def test_a_callable_of_any_kind_may_be_asked(kind: Callable[[Any], Any]) -> None:
    for _ in range(2):
        chain = read(kind(sequential()))
        assert isinstance(chain, Chain)
        assert len(chain.weights) == 2
