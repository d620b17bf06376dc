"""A collapse of throughput against the run's own beginning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event
from homeostat.guards.baseline import WARM, Baseline

# A third of its own pace: the guides' collapses were 70-fold; a busy neighbour on a shared machine makes 2 at times.
SLOWER = 3.0
IN_A_ROW = 20
# The first steps compile and warm caches.
SETTLED = 5
# Seconds lost before the guard speaks: a pause of a moment costs nobody's time.
LOST_S = 20.0


class Pace(AbstractGuard):
    """Warns when steps take three times as long as at the beginning of this process."""

    name = "pace"

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._usual, self._seen, self._slow, self._lost_s = Baseline(), 0, 0, 0.0

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step":
            return None
        self._seen += 1
        if self._seen <= SETTLED:
            return None
        if self._usual.count < 2 * WARM:
            self._usual.add(event.seconds)
            return None
        usual = self._usual.centre
        is_slow = event.seconds > SLOWER * usual
        self._slow = self._slow + 1 if is_slow else 0
        self._lost_s = self._lost_s + event.seconds - usual if is_slow else 0.0
        if self._slow < IN_A_ROW or self._lost_s < LOST_S:
            return None
        lost_s, times = self._lost_s, event.seconds / usual
        self._forget()
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"Steps take {event.seconds:.3g} s, {times:.0f} times as long as at the start ({usual:.3g} s), and "
                f"have cost {lost_s:.0f} s by step {event.step}. Look for a solver that has become stiff, another "
                "program on this machine, a full memory that swaps, or a slow disk."
            ),
            numbers={"seconds": event.seconds, "usual": usual},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """From 0.1 s to 5 s a step."""
        return streams.field("seconds", lambda event: 50 * event.seconds)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Durations belong to a process and its machine, and two runs that do the same differ in them: not saved."""
