"""Who else trains this model? One process per device, started by torchrun; each takes its part of every batch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

from homeostat.data.batches import Indices
from homeostat.engine import memory

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of one training. They hold the same State; only the first one writes files."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def share(self, rows: Indices) -> Indices:
        """The rows of a batch that this process computes, in order: together they are the batch. May be none."""
        if self.size == 1:
            return rows
        parts = memory.cut(rows, self.size)
        return parts[self.rank] if self.rank < len(parts) else rows[:0]

    def add_up(self, gradients: Sequence[Tensor], extra: Tensor) -> None:
        """Sum gradients and a vector of further numbers over all processes, in one message, in place."""
        if self.size == 1:
            return
        tensors = [*gradients, extra]
        flat = torch.cat([tensor.reshape(-1).to(extra.dtype) for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(
            tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True
        ):
            tensor.copy_(part.view_as(tensor))

    def from_first(self, value: T) -> T:
        """The first process's value, for all: a decision must not hang on the last bit of a sum."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box)
        return box[0]

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            distributed.barrier()


def join(device: torch.device) -> World:
    """Join the processes that torchrun started; alone, there is nothing to join."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return World()
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(distributed.get_rank(), distributed.get_world_size())
