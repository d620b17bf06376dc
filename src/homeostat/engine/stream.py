"""The batches of the coming steps: gathered when they are wanted, or ahead by a thread if that is slow."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from typing import Generic, TypeVar

import torch

from homeostat.data.batches import Batches, Indices, ahead
from homeostat.engine import device as devices
from homeostat.engine import memory, remedies
from homeostat.engine.distributed import World
from homeostat.engine.state import State

B = TypeVar("B")

# Below this, handing a batch from one thread to another costs as much as gathering it: a gather of 30 us by a thread
# cost 0.3 ms of waiting (log/engine.md).
THREAD_PAYS_S = 300e-6
# The fastest of the first few counts: the first one also shuffles the epoch and warms the caches.
TIMED_BATCHES = 4


class Stream(Generic[B]):
    """The batches from the step of the State on. What it holds is dropped when the State is taken elsewhere."""

    def __init__(self, batches: Batches[B], state: State, world: World, device: torch.device) -> None:
        self._batches, self._state, self._world, self._device = batches, state, world, device
        self._coming: Iterator[tuple[Indices, Sequence[tuple[B, int]]]] | None = None
        self._gather_s, self._timed = math.inf, 0

    def take(self) -> tuple[Indices, Sequence[tuple[B, int]]]:
        """Rows of the next step, and its pieces with their number of samples."""
        if self._coming is None:
            self._coming, self._gather_s, self._timed = self._gathered(), math.inf, 0
        if self._timed == TIMED_BATCHES:
            return next(self._coming)
        began = time.perf_counter()
        batch = next(self._coming)
        self._gather_s = min(self._gather_s, time.perf_counter() - began)
        self._timed += 1
        if self._timed == TIMED_BATCHES and self._gather_s > THREAD_PAYS_S:
            self._coming = ahead(self._coming)
        return batch

    def drop(self) -> None:
        """End the thread, if there is one, and forget what it gathered."""
        if isinstance(self._coming, Generator):
            self._coming.close()
        self._coming = None

    def _gathered(self) -> Iterator[tuple[Indices, Sequence[tuple[B, int]]]]:
        batches, state = self._batches, self._state
        for epoch, rows in batches.rows(state.step):
            rows = remedies.quarantined(rows, state.treatments, batches.count)
            share = self._world.share(rows)
            # A process without a row in a short batch computes one row with weight 0: it must take part in the sums.
            parts = memory.cut(share, state.pieces) or [rows[:1]]
            sizes = [len(part) if len(share) else 0 for part in parts]
            pieces = [devices.move(batches.batch(part, epoch), self._device) for part in parts]
            yield rows, list(zip(pieces, sizes, strict=True))
