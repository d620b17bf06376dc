"""A run that will not end before its time budget does. It is better known early than at the end of the night."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# Estimates of the first epochs are off by some tens of per cent; a fifth is beyond them.
MARGIN = 1.2


class Deadline(AbstractGuard):
    """Warns once when what is left of the run takes longer than what is left of the budget."""

    name = "deadline"

    def __init__(self) -> None:
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "epoch" or "seconds_left" not in event.numbers or self._is_told:
            return None
        left, needed = event.numbers["seconds_left"], event.numbers.get("eta_seconds", 0.0)
        if needed <= MARGIN * left:
            return None
        self._is_told = True
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"At step {event.step} the rest of the run needs about {needed / 60:.1f} min and the budget leaves "
                f"{left / 60:.1f} min: it will be interrupted, resumably. Plan fewer epochs now, so that the schedule "
                "ends with the run, or resume it later."
            ),
            numbers={"left": left, "needed": needed},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A budget that was cut."""

        def change(event: Event) -> Event:
            return (
                replace(event, numbers={**event.numbers, "seconds_left": 5.0})
                if event.kind == "epoch"
                else event
            )

        return streams.ill(change)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Durations belong to a process and its machine: not saved."""
