"""A process that grows: a list that keeps tensors alive fills any memory in the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# Epochs in a row that each add something; caches of allocators settle within a few.
IN_A_ROW = 5
# Growth by this share of the size at the beginning of the row.
GROWTH = 0.1


class Memory(AbstractGuard):
    """Warns when `memory_bytes` grows from epoch to epoch and will not fit before the end."""

    name = "memory"

    def __init__(self) -> None:
        self._row: list[tuple[int, float]] = []
        self._total = 0.0
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "start":
            self._total = event.numbers.get("steps", 0.0)
        if event.kind != "epoch" or "memory_bytes" not in event.numbers or self._is_told:
            return None
        size, free = event.numbers["memory_bytes"], event.numbers.get("memory_free_bytes", 0.0)
        # Less than half a per cent more is the noise of an allocator: a row of growth ends there.
        if self._row and size <= 1.005 * self._row[-1][1]:
            self._row = []
        self._row.append((event.step, size))
        (since, small), grown = self._row[0], size - self._row[0][1]
        if len(self._row) <= IN_A_ROW or grown < GROWTH * small:
            return None
        ahead = grown / max(event.step - since, 1) * (self._total - event.step)
        if ahead < 0.9 * free:
            return None
        self._is_told = True
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"Memory has grown from {small / 1e9:.2f} to {size / 1e9:.2f} GB in {len(self._row) - 1} epochs in a "
                f"row; the rest of the run needs about {ahead / 1e9:.1f} GB more and {free / 1e9:.1f} GB are free. "
                "Look for losses or outputs that are kept with their graph: use .item() or .detach()."
            ),
            numbers={"memory_bytes": size, "needed_bytes": ahead, "free_bytes": free},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """Every epoch keeps its outputs."""

        def change(event: Event) -> Event:
            grown = {
                **event.numbers,
                "memory_bytes": 1e9 + 7e6 * (event.step - streams.ONSET),
                "memory_free_bytes": 1e9,
            }
            return replace(event, numbers=grown) if event.kind == "epoch" else event

        return streams.ill(change)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Memory belongs to a process: not saved."""
