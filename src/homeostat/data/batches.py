"""Order samples into batches by a pure function of (seed, epoch, step), and gather them ahead in one thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from homeostat.errors import ConfigError

B = TypeVar("B")
Indices = NDArray[np.int64]

# Batches of similar length are cut from pools of this many batches: wide enough to save padding, narrow enough
# that the order of an epoch stays close to random.
_POOL = 32


@dataclass(frozen=True, kw_only=True)
class Batches(Generic[B]):
    """Batches of `size` out of `count` samples. Nothing here is consumed: any step can be drawn at any time.

    A batch is a dataclass, dict or tuple of tensors that `gather` makes from row numbers; it carries `ids`.
    """

    count: int
    size: int
    gather: Callable[[Indices], B]
    """Row numbers -> batch. Must be pure: it is called from another thread and again after a resume."""
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False
    """Leave out a last batch that is smaller than `size` (BatchNorm dislikes a batch of one)."""
    augment: Callable[[B, int], B] | None = None
    """(batch, epoch) -> batch. The change of a sample may depend on (seed, epoch, sample id) alone."""
    draw: Callable[[Indices, int], B] | None = None
    """(row numbers, epoch) -> batch, equal to `augment(gather(rows), epoch)`. It serves samples that are another piece
    of their source in every epoch: nothing is gathered only to be thrown away."""
    lengths: NDArray[np.int64] | None = None
    """Length of each sample. With it, batches hold samples of similar length; the order of batches stays random."""

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ConfigError(
                f"Batches of {self.count} samples: there is nothing to train on. Check the split."
            )
        if self.size < 1:
            raise ConfigError(f"batch size {self.size} must be at least 1.")
        if self.drop_last and self.count < self.size:
            raise ConfigError(
                f"drop_last with {self.count} samples and a batch size of {self.size} leaves no batch. Lower the size."
            )
        if self.lengths is not None and len(self.lengths) != self.count:
            raise ConfigError(f"lengths has {len(self.lengths)} entries for {self.count} samples.")

    def __len__(self) -> int:
        """Return the number of batches in one epoch."""
        return self.count // self.size if self.drop_last else -(-self.count // self.size)

    def order(self, epoch: int) -> Indices:
        """Return all rows in the order of that epoch: a permutation that depends on (seed, epoch) alone."""
        if not self.shuffle:
            return np.arange(self.count, dtype=np.int64)
        # Philox (Salmon et al. 2011) is keyed: the order of an epoch needs no draws of the epochs before it.
        random = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
        order = random.permutation(self.count).astype(np.int64)
        return order if self.lengths is None else self._bucketed(order, self.lengths, random)

    def _bucketed(self, order: Indices, lengths: Indices, random: np.random.Generator) -> Indices:
        pool = self.size * _POOL
        pools = [order[start : start + pool] for start in range(0, self.count, pool)]
        by_length = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in pools])
        whole = self.count // self.size * self.size
        batches = by_length[:whole].reshape(-1, self.size)
        # The rest stays last: a short batch in the middle would shift every later step.
        return np.concatenate([random.permutation(batches).reshape(-1), by_length[whole:]])

    def indices(self, step: int) -> Indices:
        """Return the rows of a step, counted from the start of training over all epochs."""
        epoch, position = divmod(step, len(self))
        return self.order(epoch)[position * self.size : (position + 1) * self.size]

    def rows(self, step: int) -> Iterator[tuple[int, Indices]]:
        """Yield (epoch, rows) from `step` on, without end; each epoch is shuffled once."""
        epoch, position = divmod(step, len(self))
        while True:
            order = self.order(epoch)
            for start in range(position * self.size, len(self) * self.size, self.size):
                yield epoch, order[start : start + self.size]
            epoch, position = epoch + 1, 0

    def batch(self, rows: Indices, epoch: int) -> B:
        """Gather and augment those rows."""
        if self.draw is not None:
            return self.draw(rows, epoch)
        gathered = self.gather(rows)
        return gathered if self.augment is None else self.augment(gathered, epoch)


_T = TypeVar("_T")


def ahead(items: Iterator[_T], depth: int = 2) -> Iterator[_T]:
    """Yield the same items, computed up to `depth` ahead in one thread. An exception there is raised here."""
    # Two ahead: one that is used, one that waits. More only holds memory.
    ready: queue.Queue[tuple[_T | None, BaseException | None]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def offer(item: _T | None, error: BaseException | None) -> None:
        while not stop.is_set():
            try:
                # The consumer may have left; without a limit the thread would wait for it for ever.
                ready.put((item, error), timeout=0.2)
            except queue.Full:
                continue
            return

    def work() -> None:
        try:
            for item in items:
                offer(item, None)
                if stop.is_set():
                    return
            offer(None, StopIteration())
        except BaseException as error:  # noqa: BLE001  # handed to the consumer, never lost
            offer(None, error)

    thread = threading.Thread(target=work, name="homeostat-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # item is None only together with an error
    finally:
        stop.set()
        thread.join()
