"""The processes that train one model: one per device, started by torchrun. Each takes its part of every batch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

from homeostat.data.batches import Indices
from homeostat.engine import memory
from homeostat.errors import HomeostatError
from homeostat.run import Run

T = TypeVar("T")

# The first process prepares data and evaluates alone; that it is dead, torchrun notices by itself.
PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class World:
    """The processes of one training. They hold the same State; only the first one writes files."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, rows: Indices) -> Indices:
        """Return the rows of a batch that this process computes, in order: together they are the batch. May be none."""
        if self.size == 1:
            return rows
        parts = memory.cut(rows, self.size)
        return parts[self.rank] if self.rank < len(parts) else rows[:0]

    def add_up(self, gradients: Sequence[Tensor], extra: Tensor) -> None:
        """Sum gradients and a vector of further numbers over all processes, in one message, in place."""
        if self.size == 1:
            return
        # One message instead of one per tensor: each has a latency of its own.
        tensors = [*gradients, extra]
        flat = torch.cat([tensor.reshape(-1).to(extra.dtype) for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(
            tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True
        ):
            tensor.copy_(part.view_as(tensor))

    def from_first(self, value: T) -> T:
        """Return the first process's value, for all: a decision must not hang on the last bit of a sum."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def first_then_others(self, work: Callable[[], T]) -> T:
        """Do work that one process must begin, such as making a folder; an error of the first is that of all."""
        if self.size == 1:
            return work()
        results: list[T] = []
        refused: HomeostatError | None = None
        if self.is_first:
            try:
                results.append(work())
            except HomeostatError as error:
                refused = error
        refused = self.from_first(refused)
        if refused is not None:
            raise refused
        return results[0] if results else work()

    def share_statistics(self, model: nn.Module) -> None:
        """Give all the first one's buffers: each has seen only its own part of the batches."""
        if self.size > 1:
            for buffer in model.buffers():
                distributed.broadcast(buffer, 0)

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def own_part(run: Run, world: World) -> Iterator[Run]:
    """Give the run to the first process, and each of the others a copy that goes: one process writes a folder."""
    with ExitStack() as stack:
        if not (world.is_first or run.is_shadow):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="homeostat-process-"))
            run = run.shadow(Path(folder) / run.name)
        world.wait()  # the first one writes when all have their copy
        yield run


def is_asked_for() -> bool:
    """Say whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_restart() -> bool:
    """Say whether torchrun has started the same command before and a process of it died."""
    # Untried: gloo 2.13 reaches for the port of the dead process, without homeostat as well (log/engine.md).
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def join(device: torch.device) -> World:
    """Join the processes that torchrun started; alone, there is nothing to join."""
    if not is_asked_for():
        return World()
    if not distributed.is_initialized():
        # gloo sums on the CPU, where NCCL cannot.
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return World(distributed.get_rank(), distributed.get_world_size())


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join for a while, and leave again who joined here."""
    is_in = distributed.is_initialized()
    world = join(device)
    try:
        yield world
    finally:
        if world.size > 1 and not is_in:
            distributed.destroy_process_group()
