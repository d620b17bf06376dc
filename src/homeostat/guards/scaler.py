"""Does loss scaling throw steps away? Half precision that overflows skips its steps without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy

# The scaler doubles its scale every 2000 steps and then skips one; up to 2 % is its normal work.
SKIPPED, WINDOW = 0.02, 100
# The scale starts at 65536 and finds its size in the first steps.
SETTLED = 20
# Below 1 the gradient is made smaller than it is: it overflows by itself.
SMALLEST = 1.0


class Scaler(AbstractGuard):
    """Warns when more than 2 % of the steps are skipped, or the scale has fallen below 1."""

    name = "scaler"

    def __init__(self) -> None:
        self._skips: list[int] = []
        self._seen = 0
        self._is_told = False

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step" or "scaler_skipped" not in event.numbers or self._is_told:
            return None
        self._seen += 1
        if event.numbers["scaler_skipped"] and self._seen > SETTLED:
            self._skips = [seen for seen in self._skips if seen > self._seen - WINDOW] + [self._seen]
        scale = event.numbers.get("scaler_scale", SMALLEST)
        if len(self._skips) <= SKIPPED * WINDOW and scale >= SMALLEST:
            return None
        self._is_told = True
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"{len(self._skips)} of the last {WINDOW} steps, up to step {event.step}, were skipped because fp16 "
                f"overflowed (scale {scale:g}): they taught nothing. Use bf16 or fp32 for this part; three-dimensional "
                "convolutions and small batch statistics overflow first."
            ),
            numbers={"skipped": len(self._skips), "scale": scale},
            remedy=Remedy(action="precision"),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A convolution that overflows in fp16 at every step."""
        return streams.measured(scaler_skipped=1.0)

    def state_dict(self) -> dict[str, Any]:
        return {"skips": list(self._skips), "seen": self._seen, "is_told": self._is_told}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._skips, self._seen, self._is_told = list(state["skips"]), state["seen"], state["is_told"]
