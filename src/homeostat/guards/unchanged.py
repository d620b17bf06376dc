"""A step that changes nothing, and a change without a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event
from homeostat.task.look import Look

# Looks in a row at which one parameter did not move: a gate or an embedding row may rest for a batch or two.
LOOKS = 3


class Unchanged(AbstractGuard):
    """Halts when the optimiser moves nothing, or something else moves parameters; warns of parts that never move.

    TrainCheck (OSDI 2025) found most silent errors of published bug reports by this one invariant.
    """

    name = "unchanged"

    def __init__(self) -> None:
        self._still: dict[str, int] = {}
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        look = event.look
        if look is None:
            return None
        if look.strayed:
            return self._alarm(
                event,
                f"During the evaluation at step {event.step}, {_listed(look.strayed)} changed although the "
                "optimiser was not at work. Look for scoring that trains, sets train mode, or writes into the live "
                "model (a copy that is no copy).",
            )
        if event.kind != "epoch" or not look.moved:
            return None
        if not any(look.moved.values()):
            return self._alarm(
                event,
                f"The last step before step {event.step} changed no parameter. Check that the optimiser holds this "
                "model's parameters (not those of a copy), that the gradient arrives, and that the learning "
                "rate is not 0.",
            )
        return self._parts(event, look)

    def _parts(self, event: Event, look: Look) -> Alarm | None:
        self._still = {name: self._still.get(name, 0) + 1 for name, moved in look.moved.items() if moved == 0}
        never = [name for name, looks in self._still.items() if looks >= LOOKS]
        if not never or self._is_told:
            return None
        self._is_told = True
        sentence = (
            f"{_listed(never)} did not move at {LOOKS} looks, up to step {event.step}, though meant to be trained. "
            "If this part should be frozen, freeze it openly (a Group with rate 0, and eval mode); if not, it is "
            "not connected to the loss, or its units are dead."
        )
        return Alarm(guard=self.name, level="warn", sentence=sentence, numbers={"parameters": len(never)})

    def _alarm(self, event: Event, sentence: str) -> Alarm:
        return Alarm(guard=self.name, level="halt", sentence=sentence, numbers={"step": event.step})

    @staticmethod
    def example() -> Iterator[Event]:
        """An optimiser that holds the parameters of another copy of the model."""

        def change(event: Event) -> Event:
            still = (
                None
                if event.look is None
                else replace(event.look, moved=dict.fromkeys(event.look.moved, 0.0))
            )
            return replace(event, look=still)

        return streams.ill(change)

    def state_dict(self) -> dict[str, Any]:
        return {"still": dict(self._still), "is_told": self._is_told}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._still, self._is_told = dict(state["still"]), state["is_told"]


def _listed(names: list[str] | tuple[str, ...] | Any) -> str:
    shown = ", ".join(list(names)[:4])
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
