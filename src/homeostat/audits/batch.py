"""Which tensors does a batch hold? Batches are dicts, dataclasses or tuples; audits read and change them by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from homeostat.audits.base import Case
from homeostat.task import vitals
from homeostat.task.randomness import borrowed, reseed

CPU = torch.device("cpu")


def tensors(batch: Any) -> dict[str, Tensor]:
    """Return the tensors of a batch by name, one level deep."""
    if isinstance(batch, Tensor):
        return {"batch": batch}
    return {name: value for name, value in _parts(batch).items() if isinstance(value, Tensor)}


def with_tensor(batch: Any, name: str, value: Tensor) -> Any:
    """Return the same batch with one tensor changed."""
    if isinstance(batch, Tensor):
        return value
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return dataclasses.replace(batch, **{name: value})
    if isinstance(batch, Mapping):
        return {**batch, name: value}
    items = list(batch)
    items[int(name)] = value
    return tuple(items)


def _parts(batch: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    if isinstance(batch, Mapping):
        return dict(batch)
    return {str(place): value for place, value in enumerate(batch)} if isinstance(batch, list | tuple) else {}


@contextmanager
def at_rest(model: nn.Module) -> Iterator[nn.Module]:
    """Lend the model in eval mode, without gradients, with random numbers that are put back."""
    with borrowed(CPU), vitals.at_rest(model):
        reseed(CPU, 0, "audit")
        yield model


def some_rows(case: Case, number: int) -> NDArray[np.int64]:
    """Rows spread over all samples, always the same ones."""
    number = min(number, case.count)
    return np.linspace(0, case.count - 1, number).astype(np.int64)


def answers(case: Case, rows: NDArray[np.int64]) -> Tensor:
    """What the model says about each row when they are asked together, (rows, ...)."""
    assert case.model is not None
    assert case.batch is not None
    assert case.predict is not None
    return case.predict(case.model, case.batch(rows)).detach().double()


def losses(case: Case, batch: Any, size: int) -> tuple[float, float]:
    """Loss of a batch, and the number of valid entries that its mean is over."""
    assert case.model is not None
    assert case.loss is not None
    loss = case.loss(case.model, batch)
    return float(loss.total.detach()), float(size if loss.count is None else loss.count)
