"""Are the gates of the model open? A gate that closes switches a part of the model, or of the loss, off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# The ECG guide's floor is 0.1, and its gates end there; a gate that means something moves above it.
CLOSED = 0.12
IN_A_ROW = 20


class Gate(AbstractGuard):
    """Warns when the mean of a number named `gate...` stays at its floor."""

    name = "gate"

    def __init__(self) -> None:
        self._closed: dict[str, int] = {}

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step":
            return None
        for name, value in event.numbers.items():
            if not name.startswith("gate"):
                continue
            self._closed[name] = self._closed.get(name, 0) + 1 if value <= CLOSED else 0
            if self._closed[name] == IN_A_ROW:
                return Alarm(
                    guard=self.name,
                    level="warn",
                    sentence=(
                        f"{name} has been at {value:.3g} for {IN_A_ROW} steps, up to step {event.step}: the gate has "
                        "closed. Usually closing pays because the gate multiplies a penalty: stop its gradient inside "
                        "the constraint (detach), give it a prior towards 1, or raise its start."
                    ),
                    numbers={name: value},
                )
        return None

    @staticmethod
    def example() -> Iterator[Event]:
        """A gate that has found out that closing lowers the penalty."""
        return streams.measured(gate__p=0.101)

    def state_dict(self) -> dict[str, Any]:
        return {"closed": dict(self._closed)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._closed = dict(state["closed"])
