"""A model that waits for its data: a faster device would change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# Half of the time of fifty steps in a row, and enough of it to matter.
SHARE, WINDOW, LOST_S = 0.5, 50, 20.0


class Stalled(AbstractGuard):
    """Warns when more than half of the time is spent waiting for batches."""

    name = "stalled"

    def __init__(self) -> None:
        self._steps, self._seconds, self._waited, self._is_told = 0, 0.0, 0.0, False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step" or self._is_told:
            return None
        self._steps, self._seconds = self._steps + 1, self._seconds + event.seconds
        self._waited += event.waited
        if self._steps < WINDOW:
            return None
        share, waited = self._waited / max(self._seconds, 1e-9), self._waited
        if share < SHARE:
            self._steps, self._seconds, self._waited = 0, 0.0, 0.0
        if share < SHARE or waited < LOST_S:
            return None
        self._is_told = True
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"Up to step {event.step}, {share:.0%} of the time ({waited:.0f} s) went into waiting for data. "
                "Prepare more of it into the store, use arrays instead of a loop over samples, or augment by the batch."
            ),
            numbers={"share": share, "waited": waited},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """Augmentation frame by frame in Python."""
        return streams.ill(
            lambda event: replace(event, seconds=1.2, waited=1.0) if event.kind == "step" else event
        )

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Durations belong to a process and its machine: not saved."""
