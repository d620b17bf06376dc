"""Values that several laws take. What one law alone takes stands in the file of that law."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from homeostat.data.splits import Splits
from homeostat.run import Run
from homeostat.task import vitals
from homeostat.task.randomness import seeded
from homeostat.task.task import Loss


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A model with its batches and its loss, as training has them."""

    absent: ClassVar[str] = "a run folder holds no untrained model; homeostat doctor RECIPE has one"

    model: nn.Module
    batch: Callable[[NDArray[np.int64]], Any]
    """Row numbers -> batch, as in training, without augmentation."""
    count: int
    """Rows that `batch` knows."""
    loss: Callable[[nn.Module, Any], Loss]
    predict: Callable[[nn.Module, Any], Tensor] | None = None
    """(model, batch) -> one row per sample. Without it, laws about predictions are tried on the loss."""
    resting: Sequence[str] = ()
    """Prefixes of parameters that this stage of training leaves alone on purpose."""

    def rows(self, number: int) -> NDArray[np.int64]:
        """Rows spread over all samples, always the same ones."""
        # Spread, because stores are often sorted by subject or class.
        number = min(number, self.count)
        return np.linspace(0, self.count - 1, number).astype(np.int64)

    def loss_of(self, batch: Any, size: int) -> tuple[float, float]:
        """Loss of a batch, and the number of valid entries that its mean is over."""
        loss = self.loss(self.model, batch)
        return float(loss.total.detach()), float(size if loss.count is None else loss.count)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Put the model into eval mode, without gradients, with random numbers of its own."""
        with seeded(0, "audit"), vitals.at_rest(self.model):
            yield


@dataclass(frozen=True, kw_only=True)
class Splitting:
    """Who trains, validates and tests."""

    absent: ClassVar[str] = "no split is at hand"

    splits: Splits
    subjects: Mapping[str, str] | None = None
    """Id -> subject, where subjects have several."""


@dataclass(frozen=True)
class Configuration:
    """The plain configuration of this run."""

    absent: ClassVar[str] = "no configuration is at hand"

    plain: Mapping[str, Any]


@dataclass(frozen=True)
class Folder:
    """The folder of a run that has begun."""

    absent: ClassVar[str] = "no run is at hand"

    run: Run
