"""A score that falls while the training loss falls on: the model learns the training samples by heart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.typical import Typical

# The share of what was gained that is lost again, at each of so many evaluations in a row. The latent ODE of the
# first guide lost a third (0.7686 to 0.73); noise of a few hundred validation subjects moves about a tenth.
LOST, IN_A_ROW = 0.25, 4
# And this share of the best score itself: the standard error of an AUROC of 0.86 on fifty cases is 0.03.
# Without it, 6 of 52 healthy runs were accused; with it none (log/guards.md).
WORTH = 0.04


class Overfit(AbstractGuard):
    """Warns when validation has turned while training goes on improving."""

    name = "overfit"

    def __init__(self) -> None:
        self._scores: list[float] = []
        self._losses: list[float] = []
        self._epoch = Typical()
        self._worse = 0
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "step":
            self._epoch.add(event.loss)
        if event.kind == "epoch":
            typical = self._epoch.take()
            self._losses.append(event.loss if typical is None else typical)
        if event.kind != "score" or event.select not in event.scores:
            return None
        sign = 1 if event.direction == "max" else -1
        self._scores.append(sign * event.scores[event.select])
        best, gained = max(self._scores), max(self._scores) - self._scores[0]
        has_turned = gained > 0 and best - self._scores[-1] > max(LOST * gained, WORTH * abs(best))
        learns_on = len(self._losses) > 1 and self._losses[-1] <= 1.1 * min(self._losses)
        self._worse = self._worse + 1 if has_turned and learns_on else 0
        if self._worse < IN_A_ROW or self._is_told:
            return None
        self._is_told = True
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"{event.select} has fallen from {sign * best:.4g} to {event.scores[event.select]:.4g} over "
                f"{IN_A_ROW} evaluations while the training loss still falls: over-fitting. The best state is kept. "
                "Stop here, or regularise: augmentation, dropout, weight decay, a smaller model."
            ),
            numbers={"best": sign * best, "now": event.scores[event.select]},
            remedy=Remedy(action="stop"),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A validation score that turns while the training loss falls on, faster."""

        def change(event: Event) -> Event:
            if event.kind == "epoch":
                return replace(event, loss=event.loss * 0.98 ** (event.epoch - 5))
            score = 0.75 - 0.02 * (event.epoch - 5)
            return (
                replace(event, scores={**event.scores, "valid/auroc": score})
                if event.kind == "score"
                else event
            )

        return streams.ill(change)

    def state_dict(self) -> dict[str, Any]:
        return {
            "scores": list(self._scores),
            "losses": list(self._losses),
            "epoch": self._epoch.plain(),
            "worse": self._worse,
            "is_told": self._is_told,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._scores, self._losses = list(state["scores"]), list(state["losses"])
        self._epoch = Typical.of(state["epoch"])
        self._worse, self._is_told = state["worse"], state["is_told"]
