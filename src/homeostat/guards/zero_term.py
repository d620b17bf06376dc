"""A term of the loss that is identically zero from the start: it was never switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# A weight may rise from zero over the first epoch; nobody lets it rest for two.
EPOCHS = 2


class ZeroTerm(AbstractGuard):
    """Warns of a loss term that has never been anything but zero.

    The ECG ablation lost its contrastive term in this way, and its paper explained the wrong thing.
    """

    name = "zero_term"

    def __init__(self) -> None:
        self._lived: dict[str, bool] = {}
        self._raised: list[str] = []

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "step":
            for name, value in event.terms.items():
                if value != 0 or name not in self._lived:
                    self._lived[name] = self._lived.get(name, False) or value != 0
            return None
        is_due = event.kind == "end" or (event.kind == "epoch" and event.epoch + 1 >= EPOCHS)
        dead = [name for name, lived in self._lived.items() if not lived and name not in self._raised]
        if not is_due or not dead:
            return None
        self._raised += dead
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"Loss term {', '.join(dead)} was exactly 0 at every step up to step {event.step}: it is not at work. "
                "Check its weight, and whether its inputs (views, masks, labels) are made at all. A run without it is "
                "another experiment than the one that was named."
            ),
            numbers=dict.fromkeys(dead, 0.0),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A contrastive term without views."""

        def change(event: Event) -> Event:
            return replace(event, terms={**event.terms, "contrast": 0.0}) if event.kind == "step" else event

        return streams.ill(change, onset=0)

    def state_dict(self) -> dict[str, Any]:
        return {"lived": dict(self._lived), "told": list(self._raised)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._lived, self._raised = dict(state["lived"]), list(state["told"])
