"""A run that ended while it was still improving: its score says how long it ran, not how good the model is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.typical import Typical

# Share of the whole fall of the training loss that fell in the last epoch. The meta-learner of the chest X-ray guide
# (1.1115 to 1.0299 in five epochs, then blamed on its size) lost a fifth in each; converged runs lose under a 20th.
LAST = 0.1
EPOCHS = 3


class Undertrained(AbstractGuard):
    """Warns at the end of a run whose loss and score were both still improving."""

    name = "undertrained"

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._epoch = Typical()
        self._scores: list[float] = []

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "step":
            self._epoch.add(event.loss)
        if event.kind == "epoch":
            typical = self._epoch.take()
            self._losses.append(event.loss if typical is None else typical)
        if event.kind == "score" and event.select in event.scores:
            self._scores.append((1 if event.direction == "max" else -1) * event.scores[event.select])
        if event.kind != "end" or len(self._losses) < EPOCHS or len(self._scores) < 2:
            return None
        fall = self._losses[0] - self._losses[-1]
        last = self._losses[-2] - self._losses[-1]
        was_best = self._scores[-1] >= max(self._scores)
        # Half a per cent of the first loss is not worth another run.
        if fall <= 0 or last < LAST * fall or last < 0.005 * abs(self._losses[0]) or not was_best:
            return None
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"The run ended while it was improving: the last of {len(self._losses)} epochs brought "
                f"{last / fall:.0%} of the whole fall of the loss (now {self._losses[-1]:.4g}), and the last score was "
                "the best. Extend it: homeostat resume RUN --epochs N."
            ),
            numbers={"last": last, "fall": fall},
            remedy=Remedy(action="extend", factor=2.0),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A run that was planned far too short: the loss still falls in a straight line."""
        for event in streams.healthy(epochs=8):
            if event.kind in ("step", "epoch"):
                yield replace(event, loss=1 - 0.03 * event.epoch)
            elif event.kind == "score":
                yield replace(event, scores={**event.scores, "valid/auroc": 0.5 + 0.01 * event.epoch})
            else:
                yield event

    def state_dict(self) -> dict[str, Any]:
        return {"losses": list(self._losses), "scores": list(self._scores), "epoch": self._epoch.plain()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._losses, self._scores = list(state["losses"]), list(state["scores"])
        self._epoch = Typical.of(state["epoch"])
