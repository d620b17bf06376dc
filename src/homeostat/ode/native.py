"""Call the native kernel where it applies, and make its gradient a node of torch's graph."""

import ctypes
import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from homeostat.ode.build import Library, load_library
from homeostat.ode.chain import Chain, read_chain
from homeostat.ode.controller import Controller
from homeostat.ode.march import March
from homeostat.ode.obstacle import find_misfit, find_obstacle
from homeostat.ode.result import Solution, SolverError, Stats
from homeostat.ode.solver import Field
from homeostat.ode.tableau import Tableau

_INT, _DOUBLE, _POINTER = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p


class _Problem(ctypes.Structure):
    """Mirrors native/problem.h, field by field; sizes are compared before each call."""

    _fields_ = [
        *((name, _INT) for name in ("batch", "dim", "times", "layers")),
        *((name, _POINTER) for name in ("widths", "weight", "bias", "activation")),
        *((name, _INT) for name in ("time_row", "stages")),
        *((name, _POINTER) for name in ("a", "c", "error", "dense")),
        *((name, _INT) for name in ("degree", "order", "lands")),
        *((name, _DOUBLE) for name in ("rtol", "atol", "safety", "min_factor", "max_factor", "p", "i", "d")),
        *((name, _DOUBLE) for name in ("step_size", "epsilon")),
        *((name, _INT) for name in ("max_steps", "record", "threads", "probe")),
        *(
            (name, _POINTER)
            for name in ("y0", "t", "mask", "ys", "counts", "lengths", "first_slope", "exhausted")
        ),
    ]


def try_native(f: Field, y0: Tensor, march: March, gradient: str, backend: str) -> Solution | str:
    """Solve by the native kernel, or return the reason why it does not apply."""
    if backend not in ("auto", "native"):
        return f"backend={backend!r} was asked for"
    outcome = _attempt(f, y0, march, gradient)
    if isinstance(outcome, str) and backend == "native":
        raise ValueError(f"backend='native' cannot solve this: {outcome}. Use backend='auto'.")
    return outcome


def _attempt(f: Field, y0: Tensor, march: March, gradient: str) -> Solution | str:
    if reason := find_obstacle(y0, march, gradient):
        return reason
    # A sample with an empty span is never evaluated by the kernel.
    probe = int((march.times.end != march.times.start).int().argmax())
    row = slice(probe, probe + 1)
    chain = read_chain(f, march.times.start[row].to(march.times.dtype), y0[row])
    if isinstance(chain, str):
        return chain
    if reason := find_misfit(chain, y0):
        return reason
    library = load_library()
    if isinstance(library, str):
        return library
    assert library.handle.homeostat_problem_bytes() == ctypes.sizeof(_Problem), (
        "problem.h and _Problem differ"
    )
    return _solve(library, chain, y0, march, probe)


def _solve(library: Library, chain: Chain, y0: Tensor, march: March, probe: int) -> Solution | str:
    """Return a reason where the kernel's first slope is not the field's own."""
    call = _Call(library, chain, march, probe)
    ys: Tensor = _Kernel.apply(call, y0, *chain.parameters)  # type: ignore[no-untyped-call]  # torch's own
    if not _agree(call.first_slope, chain.slope[0]) and bool(
        march.times.end[probe] != march.times.start[probe]
    ):
        return "the kernel's first value is not the field's"
    counts, lengths = call.counts, call.lengths.to(march.times.t.dtype)
    trials = counts[:, 0] + counts[:, 1]
    stats = Stats(
        evaluations=(1 if march.controller is None else 2) + len(march.tableau.b) * trials,
        evaluations_backward=call.pulled,
        accepted=counts[:, 0],
        rejected=counts[:, 1],
        smallest_step=lengths[:, 0],
        largest_step=lengths[:, 1],
    )
    method = f"native: the field is a chain of {len(chain.weights)} linear layers in float32 on the CPU"
    return Solution(ys=ys, stats=stats, result=counts[:, 2], method=method)


def _agree(slope: Tensor, expected: Tensor) -> bool:
    """Compare relative to the largest component alone, so that a field of any size is checked."""
    pairs = list(zip(slope.tolist(), expected.tolist(), strict=True))
    room = 1e-3 * max((abs(b) for _, b in pairs if math.isfinite(b)), default=0.0)
    return all(abs(a - b) <= room if math.isfinite(b) else not math.isfinite(a) for a, b in pairs)


class _Call:
    """The arguments and results of one solve outside autograd, and its tape until the gradient is pulled."""

    def __init__(self, library: Library, chain: Chain, march: March, probe: int) -> None:
        batch = len(march.times.t)
        self.probe = probe
        self.record = torch.is_grad_enabled()  # within an autograd function it is always off
        self.library, self.chain, self.march = library, chain, march
        self.counts = torch.zeros(batch, 3, dtype=torch.long)
        self.lengths = torch.zeros(batch, 2, dtype=torch.double)
        self.pulled = torch.zeros(batch, dtype=torch.long)
        self.first_slope = torch.zeros(chain.widths[-1])
        self.tape: int | None = None

    def __del__(self) -> None:
        if self.tape is not None:
            self.library.handle.homeostat_release(_POINTER(self.tape))

    def solve(self, y0: Tensor, parameters: tuple[Tensor, ...], record: bool) -> Tensor:
        tableau, controller, times = self.march.tableau, self.march.controller, self.march.times
        ys = torch.zeros(*times.t.shape, y0.shape[1])
        y0, t, mask = y0.contiguous(), times.t.double().contiguous(), times.mask.contiguous()
        weights, biases = self._split([p.contiguous() for p in parameters])
        a, c, error, dense = _tables(tableau)
        gains = controller or Controller()
        step_size = -1.0 if controller else self.march.step_size or 0.0
        exhausted = torch.zeros(1, dtype=torch.uint8)
        field: list[ctypes.Array[Any]] = [
            _ints(self.chain.widths),
            _pointers(weights),
            _pointers(biases),
            _ints(self.chain.activations),
        ]
        problem = _Problem(
            *(*ys.shape[:1], ys.shape[2], ys.shape[1], len(weights)),
            *(ctypes.addressof(array) for array in field),
            *(self.chain.time_row, len(tableau.b)),
            *(_pointer(a), _pointer(c), _pointer(error), _pointer(dense)),
            *(dense.shape[1], tableau.order, int(tableau.lands_on_times)),
            *(
                gains.rtol,
                gains.atol,
                gains.safety,
                gains.min_factor,
                gains.max_factor,
                gains.p,
                gains.i,
                gains.d,
            ),
            *(step_size, torch.finfo(times.dtype).eps),
            *(self.march.max_steps, int(record), torch.get_num_threads(), self.probe),
            *map(_pointer, (y0, t, mask, ys, self.counts, self.lengths, self.first_slope, exhausted)),
        )
        self.tape = self.library.handle.homeostat_solve(ctypes.byref(problem))
        if exhausted:
            raise MemoryError(
                f"The steps of {len(ys)} samples do not fit into memory. "
                "Solve fewer at once, or use gradient='checkpoint'."
            )
        return ys

    def pull(self, grad_ys: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the gradients of y0 and of the chain's parameters."""
        grad_ys = grad_ys.contiguous()
        grad_y0 = torch.zeros(len(grad_ys), grad_ys.shape[2])
        gradients = [
            torch.empty_like(p, memory_format=torch.contiguous_format) for p in self.chain.parameters
        ]
        weights, biases = self._split(gradients)
        assert self.tape is not None
        whole = self.library.handle.homeostat_pull(
            *(_POINTER(self.tape), _POINTER(grad_ys.data_ptr()), _POINTER(grad_y0.data_ptr())),
            *(_pointers(weights), _pointers(biases)),
        )
        if not whole:
            raise MemoryError(
                f"The gradients of {len(grad_ys)} samples do not fit into memory. Solve fewer at once."
            )
        counts = self.counts
        self.pulled.copy_(1 + len(self.march.tableau.b) * counts[:, 0])
        return grad_y0, gradients

    def _split(self, parameters: list[Tensor]) -> tuple[list[Tensor], list[Tensor | None]]:
        queue = iter(parameters)
        weights: list[Tensor] = []
        biases: list[Tensor | None] = []
        for bias in self.chain.biases:
            weights.append(next(queue))
            biases.append(None if bias is None else next(queue))
        return weights, biases


class _Kernel(torch.autograd.Function):
    """The solve as one node of the graph."""

    @staticmethod
    def forward(ctx: FunctionCtx, call: _Call, y0: Tensor, *parameters: Tensor) -> Tensor:
        ctx.call = call  # type: ignore[attr-defined]  # autograd's own idiom
        ctx.save_for_backward(*parameters)
        record = call.record and any(ctx.needs_input_grad)  # type: ignore[attr-defined]  # absent from the stub
        return call.solve(y0, parameters, record)

    @staticmethod
    def backward(ctx: Any, grad_ys: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # by create_graph=True
            raise SolverError("The native kernel has no second derivative. Use backend='plain'.")
        _ = ctx.saved_tensors  # raises if a weight was changed in place since the solve
        if torch._C._functorch.is_legacy_batchedtensor(grad_ys):
            return (None, *_pull_rows(ctx.call, grad_ys))
        if torch._C._are_functorch_transforms_active():
            pulled: tuple[Tensor, ...] = _Pull.apply(ctx.call, grad_ys)  # type: ignore[no-untyped-call]  # torch's own
            return (None, *pulled)
        grad_y0, gradients = ctx.call.pull(grad_ys)
        return (None, grad_y0, *gradients)


class _Pull(torch.autograd.Function):
    """The way back as an operation of its own, for Jacobians that ask for many gradients at once."""

    @staticmethod
    def forward(call: _Call, grad_ys: Tensor) -> tuple[Tensor, ...]:
        grad_y0, gradients = call.pull(grad_ys)
        return (grad_y0, *gradients)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep nothing: there is no second derivative."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], call: _Call, grad_ys: Tensor) -> tuple[Any, Any]:
        stacked = _stack(call, grad_ys.movedim(in_dims[1], 0))
        return stacked, (0,) * len(stacked)


def _stack(call: _Call, rows: Tensor) -> tuple[Tensor, ...]:
    pulled = [_Pull.forward(call, row) for row in rows]
    return tuple(map(torch.stack, zip(*pulled, strict=True)))


def _pull_rows(call: _Call, grad_ys: Tensor) -> tuple[Tensor, ...]:
    """Pull the gradients that is_grads_batched=True stacks: torch's older vmap, which knows no rules for functions."""
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    rows: Tensor = torch._remove_batch_dim(grad_ys, level, 0, 0)
    return tuple(torch._add_batch_dim(x, 0, level) for x in _stack(call, rows))


@functools.cache
def _tables(tableau: Tableau) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Lay the tableau out as the kernel reads it: one row per slope, the last row being the step itself."""
    stages = len(tableau.b)
    a = torch.zeros(stages + 1, stages + 1, dtype=torch.double)
    for index, row in enumerate((*tableau.a, tableau.b), start=1):
        a[index, : len(row)] = torch.tensor(row, dtype=torch.double)
    c = torch.tensor([*tableau.c, 1.0], dtype=torch.double)
    error = None if tableau.error is None else torch.tensor(tableau.error, dtype=torch.double)
    return a, c, error, torch.tensor(tableau.interpolant, dtype=torch.double)


def _pointer(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[Tensor | None]) -> ctypes.Array[ctypes.c_void_p]:
    return (_POINTER * len(tensors))(*map(_pointer, tensors))


def _ints(values: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    return (_INT * len(values))(*values)
