"""The device that computes, and the way of a batch to it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import torch

from homeostat.errors import ConfigError

B = TypeVar("B")
DeviceName = Literal["auto", "cpu", "cuda", "mps"]


def choose(name: DeviceName) -> tuple[torch.device, str]:
    """Return the device and the reason for it."""
    if name == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or "without CUDA"
        raise ConfigError(
            f"device cuda was asked for, but there is none (torch is built {built}). Use --device auto."
        )
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device mps was asked for, but this machine has none. Use --device auto.")
    if name == "cuda" or (name == "auto" and torch.cuda.is_available()):
        own = _own_cuda()
        return own, "asked for" if name == "cuda" else f"found {torch.cuda.get_device_name(own)}"
    if name != "auto":
        return torch.device(name), "asked for"
    return torch.device("cpu"), "no CUDA device found"


def _own_cuda() -> torch.device:
    """The current device; under torchrun each process of a machine takes its own."""
    if "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    return torch.device("cuda", torch.cuda.current_device())


def move(batch: B, device: torch.device) -> B:
    """Return the same dataclass, dict, tuple or list with its tensors on the device."""
    if device.type == "cpu":
        return batch
    moved: B = _moved(batch, device)
    return moved


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, torch.Tensor):
        # From pageable memory a copy blocks, whatever non_blocking says.
        pinned = value.pin_memory() if device.type == "cuda" and value.device.type == "cpu" else value
        return pinned.to(device, non_blocking=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = (field for field in dataclasses.fields(value) if field.init)
        return dataclasses.replace(
            value, **{field.name: _moved(getattr(value, field.name), device) for field in fields}
        )
    if isinstance(value, Mapping):
        return {key: _moved(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, device) for item in value)
    return value
