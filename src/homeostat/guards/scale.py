"""Do outputs vary as much as what they shall meet? Far too small an output cannot be told from none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event

# Spread of outputs by spread of targets. Even a model that explains 1 % of the variance reaches 0.1; the decoder of the
# ECG guide, stuck at an error of 1.0 on standardised targets, lay below 0.05. Ten times too much is divergence.
SMALLEST, LARGEST = 0.05, 10.0
IN_A_ROW = 50


class Scale(AbstractGuard):
    """Warns when `output_spread` stays far from `target_spread`."""

    name = "scale"

    def __init__(self) -> None:
        self._steps = 0
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step" or "output_spread" not in event.numbers:
            return None
        output, target = event.numbers["output_spread"], event.numbers.get("target_spread", 0.0)
        if target <= 0:
            return None
        ratio = output / target
        self._steps = self._steps + 1 if not SMALLEST <= ratio <= LARGEST else 0
        if self._steps < IN_A_ROW or self._is_told:
            return None
        self._is_told = True
        size = "small" if ratio < SMALLEST else "large"
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"Up to step {event.step}, for {IN_A_ROW} steps, outputs spread by {output:.3g} and targets by "
                f"{target:.3g}: the output scale is far too {size}. Set the scale or the bias of the last layer from "
                "the targets, or standardise them."
            ),
            numbers={"ratio": ratio},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A decoder whose outputs stay near zero."""
        return streams.measured(output_spread=0.01)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, "is_told": self._is_told}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps, self._is_told = state["steps"], state["is_told"]
