"""Numbers leave the device without stopping it: on a CPU at once, elsewhere one step late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from homeostat.engine.gradient import Measured
from homeostat.guards.base import Event


@dataclass(frozen=True)
class _Pending:
    fields: Mapping[str, Any]
    names: tuple[str, ...]
    values: Tensor
    copied: torch.cuda.Event | None


class Readout:
    """Turns measured steps into events."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._pending: _Pending | None = None

    @property
    def is_late(self) -> bool:
        return self._device.type != "cpu"

    def put(self, measured: Measured, norm: Tensor, fields: Mapping[str, Any]) -> Event | None:
        """Return the event of this step with its numbers, or that of the step before, if there was one."""
        if not self.is_late:
            return Event(
                kind="step",
                loss=measured.loss.item(),
                gradient_norm=norm.item(),
                terms={name: value.item() for name, value in measured.terms.items()},
                numbers={name: _plain(value) for name, value in measured.numbers.items()},
                **fields,
            )
        ready = self.flush()
        self._pending = self._send(measured, norm, fields)
        return ready

    def forget(self) -> None:
        """Drop what is on its way: its step was taken back."""
        self._pending = None

    def flush(self) -> Event | None:
        """Return what is still on its way, waiting for it."""
        if self._pending is None:
            return None
        pending, self._pending = self._pending, None
        if pending.copied is not None:
            pending.copied.synchronize()
        values = dict(zip(pending.names, pending.values.tolist(), strict=True))
        return Event(
            kind="step",
            loss=values["loss"],
            gradient_norm=values["norm"],
            terms={name[2:]: value for name, value in values.items() if name.startswith("t/")},
            numbers={name[2:]: value for name, value in values.items() if name.startswith("n/")},
            **pending.fields,
        )

    def _send(self, measured: Measured, norm: Tensor, fields: Mapping[str, Any]) -> _Pending:
        named: dict[str, Tensor | float] = {"loss": measured.loss, "norm": norm}
        named |= {f"t/{name}": value for name, value in measured.terms.items()}
        named |= {f"n/{name}": value for name, value in measured.numbers.items()}
        on_device = [torch.as_tensor(value, device=self._device).detach().float() for value in named.values()]
        # One tensor, one copy: each .item() would wait for everything that the device has been given to do.
        stacked = torch.stack([value.reshape(()) for value in on_device])
        if self._device.type != "cuda":
            return _Pending(fields, tuple(named), stacked, None)
        values = torch.empty(len(named), pin_memory=True)
        values.copy_(stacked, non_blocking=True)
        copied = torch.cuda.Event()
        copied.record()
        return _Pending(fields, tuple(named), values, copied)


def _plain(value: Tensor | float) -> float:
    return value.item() if isinstance(value, Tensor) else value
