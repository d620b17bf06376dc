"""A loss that jumps: a poisoned batch makes one jump, too large a learning rate makes many."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.baseline import Baseline

# In mean absolute deviations above the centre. Batches of clinical data with rare positives reach 8 now and then,
# none of 60 healthy runs of benchmarks/faults.py reached 25; a poisoned batch or a divergence reaches hundreds.
ONE_JUMP = 25.0
# Three within ten steps is no single odd batch.
SOME_JUMPS, HOW_MANY, WITHIN = 10.0, 3, 10
# A model that is worse than untrained, on the mean over an epoch, has not been trained but thrown about.
WORSE = 2.0
# A jump smaller than this share of the first losses is noise of a loss that has almost vanished.
WORTH = 0.2


class Spike(AbstractGuard):
    """Warns when the loss leaves its running range upwards."""

    name = "spike"

    def __init__(self) -> None:
        self._usual = Baseline()
        self._first, self._untrained = 0.0, 0.0
        self._jumps: list[int] = []

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "epoch":
            return self._worse(event)
        if event.kind != "step" or not math.isfinite(event.loss):
            return None
        usual = self._usual
        above = event.loss - usual.centre
        unit = max(usual.spread, WORTH * self._first / ONE_JUMP, 1e-12)
        alarm = None
        if usual.is_warm and above > SOME_JUMPS * unit:
            self._jumps = [step for step in self._jumps if step > event.step - WITHIN] + [event.step]
            if above > ONE_JUMP * unit or len(self._jumps) >= HOW_MANY:
                alarm = self._alarm(event, above / unit)
        # Learnt after it was judged, as in gradient.py.
        usual.add(event.loss)
        if event.step == 0:
            self._untrained = event.loss
        if event.step < 5:
            self._first += abs(event.loss) / 5
        return alarm

    def _worse(self, event: Event) -> Alarm | None:
        if self._untrained <= 0 or event.loss <= WORSE * self._untrained:
            return None
        times, self._untrained = event.loss / self._untrained, 0.0
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"Over epoch {event.epoch + 1} the mean loss was {event.loss:.4g}, {times:.1f} times that of the "
                "untrained model: training makes it worse. The learning rate is far too large, or some samples are "
                "poisoned."
            ),
            numbers={"loss": event.loss, "times": times},
            remedy=Remedy(action="rollback", factor=0.1),
        )

    def _alarm(self, event: Event, deviations: float) -> Alarm:
        self._jumps = []
        centre = self._usual.centre
        rows = ", ".join(map(str, event.rows[:8]))
        self._usual = Baseline()  # what follows is judged by itself, and a plateau up there raises one alarm
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"At step {event.step} the loss jumped to {event.loss:.4g} from about {centre:.4g} "
                f"({deviations:.0f} deviations), on rows {rows}. If it comes once, look at these rows; if it comes "
                "again, lower the learning rate or clip the gradient."
            ),
            numbers={"loss": event.loss, "usual": centre, "deviations": deviations},
            remedy=Remedy(action="rollback", factor=0.5),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A learning rate that has become too large."""
        return streams.field("loss", lambda event: 40 * event.loss)

    def state_dict(self) -> dict[str, Any]:
        return {
            "usual": self._usual.plain(),
            "first": self._first,
            "untrained": self._untrained,
            "jumps": list(self._jumps),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._usual, self._first = Baseline.of(state["usual"]), state["first"]
        self._untrained, self._jumps = state["untrained"], list(state["jumps"])
