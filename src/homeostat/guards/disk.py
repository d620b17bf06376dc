"""A disk that will not last: a run must be able to save at its last step too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# Room for three checkpoints: one being written, one to be dropped after it, and the best.
CHECKPOINTS = 3
# Epochs over which the trend is taken.
TREND = 4


class Disk(AbstractGuard):
    """Warns when free space is below three checkpoints, or will be before the end."""

    name = "disk"

    def __init__(self) -> None:
        self._free: list[tuple[int, float]] = []
        self._total = 0.0
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "start":
            self._total = event.numbers.get("steps", 0.0)
        if event.kind != "epoch" or "disk_free_bytes" not in event.numbers or self._is_told:
            return None
        free = event.numbers["disk_free_bytes"]
        needed = CHECKPOINTS * event.numbers.get("checkpoint_bytes", 0.0)
        self._free = [*self._free, (event.step, free)][-TREND - 1 :]
        (since, before) = self._free[0]
        rate = (before - free) / (event.step - since) if len(self._free) > TREND else 0.0
        left = free - max(rate, 0.0) * (self._total - event.step)
        if left >= needed and free >= needed:
            return None
        self._is_told = True
        forecast = "" if free < needed else f", and at this rate about {max(left, 0) / 1e9:.2f} GB at the end"
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"{free / 1e9:.2f} GB are free on the disk of the run{forecast}; {CHECKPOINTS} checkpoints need "
                f"{needed / 1e9:.2f} GB. Free some space; a full disk stops the run resumably, but it stops."
            ),
            numbers={"free_bytes": free, "needed_bytes": needed},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """Somebody else fills the disk."""

        def change(event: Event) -> Event:
            numbers = {**event.numbers, "disk_free_bytes": 2e8}
            return replace(event, numbers=numbers) if event.kind == "epoch" else event

        return streams.ill(change)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The disk is looked at anew: not saved."""
