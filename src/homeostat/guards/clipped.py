"""A gradient that is clipped at nearly every step: the clip, not the learning rate, decides how far a step goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# The policy distilled from the five guides: more than half of the steps. Adam does not care about a constant factor, so
# it is worth a word only if the norm is also several times the clip: then big and small batches count the same.
SHARE, TIMES, WINDOW = 0.5, 10.0, 200


class Clipped(AbstractGuard):
    """Warns when most steps are clipped, and by much."""

    name = "clipped"

    def __init__(self) -> None:
        self._clip = 0.0
        self._steps, self._over, self._excess = 0, 0, 0.0
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "start":
            self._clip = event.numbers.get("clip", 0.0)
        if event.kind != "step" or self._clip <= 0 or self._is_told:
            return None
        self._steps += 1
        if event.gradient_norm > self._clip:
            self._over += 1
            # One exploded step must not decide the mean of two hundred.
            self._excess += min(event.gradient_norm / self._clip, 1e3)
        if self._steps < WINDOW:
            return None
        share, times = self._over / self._steps, self._excess / max(self._over, 1)
        self._steps, self._over, self._excess = 0, 0, 0.0
        if share <= SHARE or times < TIMES:
            return None
        self._is_told = True
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"{share:.0%} of the last {WINDOW} steps, up to step {event.step}, were clipped to {self._clip:g}, on "
                f"average {times:.0f}-fold. Look at the size of loss and inputs first (not scaled? a sum instead of a "
                f"mean?); if they are right, raise the clip to about {self._clip * times:.2g}."
            ),
            numbers={"share": share, "times": times},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A loss that is a sum, not a mean."""
        return streams.field("gradient_norm", lambda event: 100 * event.gradient_norm)

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
