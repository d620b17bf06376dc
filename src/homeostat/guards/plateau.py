"""A loss that has not fallen since the first epoch, or a score that has long stood still."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.typical import Typical

# A loss that has fallen by less than this share of itself has not been learnt from.
FALL = 0.01
# Judged after this share of the planned steps, and not before three epochs; the steps of a warm-up, in which the
# learning rate still rises, teach little and do not count: a one-cycle run of ten epochs falls from the third on.
# With this, 75 healthy one-cycle runs of 3 to 16 epochs are silent (log/guards.md).
SHARE, EPOCHS = 0.25, 3
# Steps that show the untrained model, and standard errors of their mean that the loss must have fallen by.
START, ERRORS = 10, 2.0
# Evaluations without a better score: the patience of the longest of the five guides (20 epochs).
PATIENCE = 20


class Plateau(AbstractGuard):
    """Warns of a run that learns nothing, or nothing more."""

    name = "plateau"

    def __init__(self) -> None:
        self._losses: list[float] = []
        self._start: list[float] = []
        self._scores: list[float] = []
        self._total = 0.0
        self._epoch = Typical()
        self._rate, self._risen = 0.0, 0
        self._raised: list[str] = []

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "step":
            self._step(event)
            return None
        if event.kind == "start":
            self._total = event.numbers.get("steps", 0.0)
        if event.kind == "epoch":
            typical = self._epoch.take()
            self._losses.append(event.loss if typical is None else typical)
            return self._unlearnt(event)
        if event.kind == "score" and event.select in event.scores:
            sign = 1 if event.direction == "max" else -1
            self._scores.append(sign * event.scores[event.select])
            return self._stale(event)
        return None

    def _step(self, event: Event) -> None:
        self._epoch.add(event.loss)
        if len(self._start) < START and math.isfinite(event.loss):
            self._start.append(event.loss)
        if event.learning_rate > self._rate:
            # The guard once spoke during a warm-up, when the rate had not yet let anything be learnt (log/guards.md).
            self._risen = event.step
        self._rate = event.learning_rate

    def _unlearnt(self, event: Event) -> Alarm | None:
        # The lowest of many epochs is below the first one by noise alone; the last two count instead.
        first, now = self._losses[0], statistics.fmean(self._losses[-2:])
        # What was learnt within the first epoch counts: its first steps are those of an untrained model.
        start, error = _mean(self._start)
        has_fallen = first - now > FALL * abs(first) or start - now > max(FALL * abs(start), ERRORS * error)
        settled = event.step - self._risen
        is_due = len(self._losses) >= EPOCHS and settled >= max(
            SHARE * self._total, event.step / len(self._losses)
        )
        if not is_due or has_fallen or abs(first) < 1e-9 or "loss" in self._raised:
            return None
        self._raised.append("loss")
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"After {len(self._losses)} epochs the training loss is {self._losses[-1]:.4g}, as after the first "
                f"({first:.4g}): nothing is learnt. Try to overfit eight samples; if that fails, labels, masks or the "
                "connection of loss and model are wrong, otherwise the learning rate. A floor such as ln 2 times the "
                "share of masked entries is arithmetic, not imbalance."
            ),
            numbers={"first": first, "now": self._losses[-1]},
        )

    def _stale(self, event: Event) -> Alarm | None:
        best = max(self._scores)
        stale = len(self._scores) - 1 - self._scores.index(best)
        # In the last fifth there is hardly anything left to save.
        if stale < PATIENCE or event.step > 0.8 * self._total or "score" in self._raised:
            return None
        self._raised.append("score")
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"{event.select} has not improved for {stale} evaluations (best {abs(best):.4g}) and much of the run "
                f"is still to come. The best state is kept; stop early with --patience {PATIENCE}."
            ),
            numbers={"evaluations": stale},
            remedy=Remedy(action="stop"),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """Labels that say nothing about the inputs: the loss never falls."""

        def change(event: Event) -> Event:
            return replace(event, loss=0.7) if event.kind in ("step", "epoch") else event

        return streams.ill(change, onset=0)

    def state_dict(self) -> dict[str, Any]:
        return {
            "losses": list(self._losses),
            "start": list(self._start),
            "scores": list(self._scores),
            "total": self._total,
            "epoch": self._epoch.plain(),
            "rate": self._rate,
            "risen": self._risen,
            "told": list(self._raised),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._losses, self._scores = list(state["losses"]), list(state["scores"])
        self._start = list(state["start"])
        self._total, self._raised = state["total"], list(state["told"])
        self._epoch = Typical.of(state["epoch"])
        self._rate, self._risen = state["rate"], state["risen"]


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its standard error."""
    if len(values) < 2:
        return -math.inf, 0.0
    return statistics.fmean(values), statistics.stdev(values) / math.sqrt(len(values))
