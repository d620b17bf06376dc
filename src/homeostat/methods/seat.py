"""The seat of a network in a recipe: what a network of one's own is given there, and what it must return.

A network is named by its address, such as ./my_net.py:Net. It is tried on one batch before anything is trained, and
what it returns is compared with what the recipe's own network returns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from homeostat.errors import ConfigError
from homeostat.plugin.load import line_of, load

OWN = "own"
"""The name of the method whose network is the user's own."""


@dataclass(frozen=True, kw_only=True)
class Seat:
    """The place of a network in a recipe."""

    sizes: Mapping[str, Any]
    """The values that the network's constructor may ask for, by the names of its arguments."""
    inputs: Mapping[str, Tensor]
    """One batch as `forward` is given it, in this order; the first dimension counts samples."""
    output: Tensor
    """The output that the recipe's own network returns for this batch."""
    meaning: str
    """The output in words, such as "one logit per volume"."""


def own_network(address: str, seat: Seat) -> nn.Module:
    """Return an untrained network of one's own that fits the seat."""
    network = build(address, seat.sizes)
    # One sample alone, too: a network that squeezes or knows its batch size by heart fails only there.
    for count in (len(seat.output), 1):
        _check(address, network, seat, count)
    return network


def network_class(address: str) -> Callable[..., nn.Module]:
    """Return the class at an address."""
    kind: Callable[..., nn.Module] = load(
        address, "a class of networks: class Net(torch.nn.Module)", _is_network
    )
    return kind


def build(address: str, sizes: Mapping[str, Any]) -> nn.Module:
    """Make a network with those of the sizes that its constructor asks for."""
    kind = network_class(address)
    parameters = inspect.signature(kind).parameters.values()
    named = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    needed = {one.name for one in parameters if one.name in named and one.default is one.empty}
    listed = ", ".join(f"{name}={value}" for name, value in sizes.items()) or "no sizes"
    if missing := sorted(needed - sizes.keys()):
        raise ConfigError(
            f"The network {address} asks for {', '.join(missing)}; this recipe gives {listed}. "
            "Take these names, or give the argument a default."
        )
    takes_all = any(one.kind is one.VAR_KEYWORD for one in parameters)
    given = {name: value for name, value in sizes.items() if takes_all or name in named}
    try:
        return kind(**given)
    except Exception as error:
        raise ConfigError(
            f"The network {address} cannot be made with {_spelled(given)}: {type(error).__name__}: {error}, in "
            f"{line_of(address, error)}."
        ) from error


def _is_network(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module)


def _check(address: str, network: nn.Module, seat: Seat, count: int) -> None:
    """Try the network on some samples; a network that knows its batch size by heart fails on one alone."""
    inputs = {name: value[:count] for name, value in seat.inputs.items()}
    shapes = ", ".join(f"{name} {_shape(value)}" for name, value in inputs.items())
    expected = (count, *seat.output.shape[1:])
    wish = f"expected a tensor of shape {expected}: {seat.meaning}. It is given {shapes}."
    training = network.training
    try:
        with torch.no_grad():
            # In eval mode: BatchNorm refuses a single sample in train mode, and that is no fault of the network.
            output = network.eval()(*inputs.values())
    except Exception as error:
        raise ConfigError(
            f"The network {address} fails on {count} samples: {type(error).__name__}: {error}, in "
            f"{line_of(address, error)}; {wish}"
        ) from error
    finally:
        network.train(training)
    if not isinstance(output, Tensor):
        raise ConfigError(f"The network {address} returns {type(output).__name__}; {wish}")
    if tuple(output.shape) != expected:
        raise ConfigError(f"The network {address} returns shape {_shape(output)} for {count} samples; {wish}")
    if not output.is_floating_point():
        raise ConfigError(f"The network {address} returns numbers of type {output.dtype}; {wish}")
    if not bool(torch.isfinite(output).all()):
        raise ConfigError(f"The network {address} returns NaN or infinity before it is trained; {wish}")


def _shape(value: Tensor) -> str:
    return str(tuple(value.shape))


def _spelled(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "no arguments"
