"""Recognise vector fields that are chains of linear layers, because the native kernel can solve those.

The field is evaluated once, on one sample and with gradients, and every call that it makes to torch is read. It is a
chain if these calls are the chain's and nothing else. Nothing is remembered: weights, modes and code may have changed
before the next solve. Only the calling thread is watched.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from homeostat.ode.solver import Field

# Codes shared with native/kernel.cpp.
_IDENTITY, _TANH, _SIGMOID, _RELU, _SOFTPLUS, _ELU, _SILU = range(7)

# Each function, the names of its options in their order, and the values that change nothing.
_Options = dict[str, tuple[object, ...]]
_INPLACE: _Options = {"inplace": (False, True)}
_ACTIVATIONS: dict[Any, tuple[int, _Options]] = {
    torch.tanh: (_TANH, {}),
    torch.Tensor.tanh: (_TANH, {}),
    functional.tanh: (_TANH, {}),
    torch.sigmoid: (_SIGMOID, {}),
    torch.Tensor.sigmoid: (_SIGMOID, {}),
    functional.sigmoid: (_SIGMOID, {}),
    torch.relu: (_RELU, {}),
    torch.Tensor.relu: (_RELU, {}),
    functional.relu: (_RELU, _INPLACE),
    functional.softplus: (_SOFTPLUS, {"beta": (1,), "threshold": (20,)}),
    functional.elu: (_ELU, {"alpha": (1.0,), **_INPLACE}),
    functional.silu: (_SILU, _INPLACE),
}
_JOINS = (torch.cat, torch.concat, torch.concatenate)
# The frame in which a module calls its hooks and its forward.
_MODULE_CALL = nn.Module._call_impl.__code__


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Linear layers with an activation after each, as one evaluation of the field computed them."""

    weights: tuple[Tensor, ...]
    """(out, in) each: the tensors that the field itself used, so that gradients reach what it reaches."""
    biases: tuple[Tensor | None, ...]
    activations: tuple[int, ...]
    time_row: int
    """Where the time stands in the first layer's input: 0 before the state, the state's size after it, -1 nowhere."""
    slope: Tensor
    """The field's own value (1, dim) where it was read."""

    @property
    def parameters(self) -> list[Tensor]:
        """Return weight and bias of each layer; an absent bias is left out."""
        pairs = zip(self.weights, self.biases, strict=True)
        return [tensor for pair in pairs for tensor in pair if tensor is not None]

    @property
    def widths(self) -> list[int]:
        return [self.weights[0].shape[1], *(weight.shape[0] for weight in self.weights)]


class _NotAChainError(BaseException):
    """Leaves the field at its first call that is no chain's; its `except Exception` does not hold it."""


def read_chain(f: Field, t: Tensor, y: Tensor) -> Chain | str:
    """Evaluate `f` at one sample, t (1,) and y (1, dim), and return its chain, or why it is none."""
    reader = _read(f, t, y)
    if isinstance(reader, str):
        return reader
    if not all(isinstance(p, nn.Parameter) for p in reader.tensors):
        # A weight that code out of sight computes from the state is another tensor for another state.
        again = _read(f, t, y + 1)
        if isinstance(again, str) or list(map(id, again.tensors)) != list(map(id, reader.tensors)):
            return _because("its weights are computed inside it")
    return reader.chain()


def _because(reason: str) -> str:
    return f"the field is not a chain of linear layers with common activations between: {reason}"


def _read(f: Field, t: Tensor, y: Tensor) -> "_Reader | str":
    with torch.inference_mode(False), torch.enable_grad():
        reader = _Reader(t.detach().clone(), y.detach().clone().requires_grad_())
        try:
            with reader:
                slope = f(reader.t, reader.y)
            reader.finish(slope)
        except (Exception, _NotAChainError) as error:  # noqa: BLE001  the field is the user's code; the solve raises it
            return _because(reader.reason or f"it raised {type(error).__name__}")
    return reader


class _Reader(TorchFunctionMode):
    """Follows the state through the calls of one thread, and leaves the field at the first that is no chain's."""

    def __init__(self, t: Tensor, y: Tensor) -> None:
        super().__init__()
        self.t, self.y = t, y
        self.reason = ""
        self.time_row = -1
        self.weights: list[Tensor] = []
        self.biases: list[Tensor | None] = []
        self.activations: list[int] = []
        self._column: Tensor | None = None
        self._modules: set[nn.Module] = set()
        self._move(y)

    @property
    def tensors(self) -> list[Tensor]:
        pairs = zip(self.weights, self.biases, strict=True)
        return [tensor for pair in pairs for tensor in pair if tensor is not None]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        options: dict[str, Any] = kwargs or {}
        # Something out of sight may have written into the tensor since.
        if self.reason or self._state._version != self._version:
            self._refuse(self.reason or "it writes into a tensor")
        self._note_module()
        if func is functional.linear:
            self._add_layer(*args, **options)
        elif _is_column(func, args, options, self.t):
            self._column = func(*args, **options)
            return self._column
        elif func in _JOINS:
            self._join(*args, **options)
        elif func in _ACTIVATIONS and args and args[0] is self._state:
            self._activate(func, args[1:], options)
        else:
            self._refuse(f"it calls {getattr(func, '__name__', func)}")
        output = func(*args, **options)
        if type(output) is not Tensor or not output.requires_grad:
            self._refuse("it computes without gradients")
        if output.dtype != self.y.dtype:
            self._refuse(f"it computes in {str(output.dtype).removeprefix('torch.')}")
        self._move(output)
        return output

    def _move(self, state: Tensor) -> None:
        self._state, self._version = state, state._version

    def _refuse(self, reason: str) -> NoReturn:
        self.reason = reason
        raise _NotAChainError

    def _note_module(self) -> None:
        """Keep the outermost module whose call leads to this one; below it are all that may have hooks."""
        frame = sys._getframe(2)
        outermost = None
        while frame.f_back is not None and frame.f_code is not _read.__code__:
            if frame.f_code is _MODULE_CALL:
                outermost = frame
            frame = frame.f_back
        if outermost is not None:
            self._modules.add(outermost.f_locals["self"])

    def _add_layer(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> None:
        inside = {id(self.t), id(self.y), id(self._state), id(self._column)} - {id(None)}
        if input is not self._state or id(weight) in inside or id(bias) in inside:
            self._refuse("a linear layer is not fed by the one before it")
        ordinary = type(weight) in (Tensor, nn.Parameter) and weight.dim() == 2
        if not ordinary or (bias is not None and type(bias) not in (Tensor, nn.Parameter)):
            self._refuse("a weight is not an ordinary matrix")
        self.weights.append(weight)
        self.biases.append(bias)
        self.activations.append(_IDENTITY)

    def _activate(self, func: Any, positional: tuple[Any, ...], options: dict[str, Any]) -> None:
        kind, allowed = _ACTIVATIONS[func]
        given = dict(zip(allowed, positional, strict=False)) | options
        if len(positional) > len(allowed) or any(v not in allowed.get(k, ()) for k, v in given.items()):
            self._refuse(f"{func.__name__} has options of its own")
        if not self.weights or self.activations[-1] != _IDENTITY:
            self._refuse("an activation does not follow a linear layer")
        self.activations[-1] = kind

    def _join(self, tensors: Any, dim: int = 0) -> None:
        first, second = tensors if isinstance(tensors, list | tuple) and len(tensors) == 2 else (None, None)
        column = self._column
        if dim not in (1, -1) or self._state is not self.y or column is None:
            self._refuse("it joins tensors otherwise than the state with the time")
        elif first is self.y and second is column:
            self.time_row = self.y.shape[1]
        elif first is column and second is self.y:
            self.time_row = 0
        else:
            self._refuse("it joins tensors otherwise than the state with the time")

    def finish(self, slope: object) -> None:
        """Refuse what is not computed by the calls that were read, or runs code of the user's around them."""
        if slope is not self._state or not self.weights or self._state._version != self._version:
            self._refuse("its value does not come from its last layer")
        if torch.nn.modules.module._has_any_global_hook() or any(map(_has_hooks, self._modules)):
            self._refuse("a module of the field has hooks")
        if not _reaches_exactly(self._state, [self.y, *self.tensors]):
            self._refuse("gradients do not reach exactly its weights")

    def chain(self) -> Chain:
        return Chain(
            weights=tuple(self.weights),
            biases=tuple(self.biases),
            activations=tuple(self.activations),
            time_row=self.time_row,
            slope=self._state.detach(),
        )


def _is_column(func: Any, args: tuple[Any, ...], options: dict[str, Any], t: Tensor) -> bool:
    """Recognise t[:, None], t.unsqueeze(-1) and t.unsqueeze(1)."""
    if not args or args[0] is not t:
        return False
    if func is Tensor.__getitem__:
        return bool(args[1] == (slice(None), None))
    if func not in (Tensor.unsqueeze, torch.unsqueeze):
        return False
    return (*args[1:], *options.values()) in ((1,), (-1,))


def _has_hooks(module: nn.Module) -> bool:
    return any(
        m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks
        for m in module.modules()
    )


def _reaches_exactly(output: Tensor, inputs: list[Tensor]) -> bool:
    """Say whether a backward pass would reach exactly those of `inputs` that need a gradient."""
    wanted = [x for x in inputs if x.requires_grad]
    ends: set[object] = {id(x) if x.grad_fn is None else x.grad_fn for x in wanted}
    reached: set[object] = set()
    seen: set[object] = set()
    stack = [output.grad_fn]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)  # only AccumulateGrad nodes carry one
        end = node if variable is None else id(variable)
        if end in ends:
            reached.add(end)
        elif variable is not None:
            return False
        else:
            stack.extend(parent for parent, _ in node.next_functions)
    return reached == ends
