"""Tensors of a batch by name. Batches are dicts, dataclasses or tuples; laws read and change them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor


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
