"""Recognise vector fields that are chains of linear layers, because the native kernel can solve those."""

import contextlib
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from homeostat.ode.solver import Field

# Codes shared with native/kernel.cpp.
_IDENTITY, _TANH, _SIGMOID, _RELU, _SOFTPLUS, _ELU, _SILU = range(7)

_MODULES: dict[type[nn.Module], int] = {
    nn.Identity: _IDENTITY,
    nn.Tanh: _TANH,
    nn.Sigmoid: _SIGMOID,
    nn.ReLU: _RELU,
    nn.Softplus: _SOFTPLUS,
    nn.ELU: _ELU,
    nn.SiLU: _SILU,
}
_FUNCTIONS: dict[Any, int] = {
    torch.tanh: _TANH,
    functional.tanh: _TANH,
    torch.sigmoid: _SIGMOID,
    functional.sigmoid: _SIGMOID,
    torch.relu: _RELU,
    functional.relu: _RELU,
    functional.softplus: _SOFTPLUS,
    functional.elu: _ELU,
    functional.silu: _SILU,
}
_METHODS = {"tanh": _TANH, "sigmoid": _SIGMOID, "relu": _RELU}


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Linear layers with an activation after each. Layers are kept, not weights: training replaces weights."""

    layers: tuple[nn.Linear, ...]
    activations: tuple[int, ...]
    time_row: int
    """Where the time stands in the first layer's input: 0 before the state, the state's size after it, -1 nowhere."""
    visited: tuple[ref[nn.Module], ...]
    """Every module that was called; weak, because a container may hold the field itself."""

    @property
    def has_hooks(self) -> bool:
        """Say whether a module runs code of the user's around its call, which the layers alone do not show."""
        modules = (module for weak in self.visited if (module := weak()) is not None)
        return any(
            m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks
            for m in modules
        )

    @property
    def parameters(self) -> list[Tensor]:
        """Return weight and bias of each layer; an absent bias is left out."""
        return [p for layer in self.layers for p in (layer.weight, layer.bias) if p is not None]


_KNOWN: WeakKeyDictionary[Callable[..., Any], Chain | None] = WeakKeyDictionary()


def find_chain(f: Field) -> Chain | None:
    """Trace `f` and return its chain, or None. The caller compares the first value with f's own.

    A trace shows one path through the code: a field that branches on its input, or was changed since, reads as a chain
    that it is not.
    """
    try:
        if f not in _KNOWN:
            _KNOWN[f] = _trace(f)
        return _KNOWN[f]
    except TypeError:  # neither hashable nor weakly referable: traced for each solve
        return _trace(f)


def forget_chain(f: Field) -> None:
    """Remember that `f` is no chain: it no longer computes what was traced."""
    with contextlib.suppress(TypeError):
        _KNOWN[f] = None


class _Reader(fx.Tracer):
    """Records linear layers and activations as single nodes, whether `f` owns them or closes over them."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: dict[str, nn.Module] = {}
        self.visited: list[ref[nn.Module]] = []

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        self.visited.append(ref(m))
        return super().call_module(m, forward, args, kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _MODULES or type(m) is nn.Linear

    def path_of_module(self, mod: nn.Module) -> str:
        name = f"m{len(self.modules)}"
        self.modules[name] = mod
        return name


def _trace(f: Field) -> Chain | None:
    reader = _Reader()

    def call(t: Tensor, y: Tensor) -> Tensor:
        return f(t, y)

    try:
        graph = reader.trace(call)
    except Exception:  # noqa: BLE001  any code of the user's may run here, on proxies that it was not written for
        return None
    return _read(graph, reader)


def _read(graph: fx.Graph, reader: _Reader) -> Chain | None:
    nodes = list(graph.nodes)
    inputs = [node for node in nodes if node.op == "placeholder"]
    output = nodes[-1].args[0]
    if len(inputs) != 2 or not isinstance(output, fx.Node):
        return None
    t, y = inputs
    layers: list[nn.Linear] = []
    activations: list[int] = []
    node = output
    pending = _IDENTITY
    while True:
        module = reader.modules.get(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, nn.Linear):
            layers.insert(0, module)
            activations.insert(0, pending)
            pending = _IDENTITY
        elif (kind := _activation(node, module)) is not None:
            if pending != _IDENTITY and kind != _IDENTITY:
                return None
            pending = kind if pending == _IDENTITY else pending
        else:
            break
        source = node.args[0]
        if not isinstance(source, fx.Node) or len(node.args) != 1:
            return None
        node = source
    if not layers or pending != _IDENTITY:
        return None
    row = -1 if node is y else _time_row(node, t, y, layers[0].in_features)
    if row is None:
        return None
    return Chain(
        layers=tuple(layers), activations=tuple(activations), time_row=row, visited=tuple(reader.visited)
    )


# What torch's functions record when they are called without options; `inplace` changes no value.
_DEFAULTS: dict[str, tuple[object, ...]] = {
    "alpha": (1.0,),
    "beta": (1,),
    "threshold": (20,),
    "inplace": (False, True),
}


def _activation(node: fx.Node, module: nn.Module | None) -> int | None:
    if module is not None:
        options = {name: vars(module)[name] for name in _DEFAULTS if name in vars(module)}
        kind = _MODULES.get(type(module))
    else:
        options = dict(node.kwargs)
        named = node.op == "call_method"
        kind = _METHODS.get(str(node.target)) if named else _FUNCTIONS.get(node.target)
    return kind if all(value in _DEFAULTS.get(name, ()) for name, value in options.items()) else None


def _time_row(node: fx.Node, t: fx.Node, y: fx.Node, width: int) -> int | None:
    """Return the row of t in cat([y, t[:, None]], -1), or in the same with t first; None for anything else."""
    if node.op != "call_function" or node.target not in (torch.cat, torch.concat):
        return None
    parts = node.args[0]
    dim = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    if dim not in (1, -1) or not isinstance(parts, list | tuple) or len(parts) != 2:
        return None
    if parts[0] is y and _is_column(parts[1], t):
        return width - 1
    return 0 if parts[1] is y and _is_column(parts[0], t) else None


def _is_column(node: object, t: fx.Node) -> bool:
    """Recognise t[:, None], t.unsqueeze(-1) and t.unsqueeze(1)."""
    if not isinstance(node, fx.Node) or not node.args or node.args[0] is not t:
        return False
    if node.op == "call_function" and node.target is operator.getitem:
        return node.args[1] == (slice(None), None)
    return node.op == "call_method" and node.target == "unsqueeze" and node.args[1] in (1, -1)
