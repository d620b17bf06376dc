"""A gradient out of its range: one that explodes against its own history, or vanishes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.baseline import Baseline
from homeostat.task.look import Look

# Ten times the running median is the rule of the three-dimensional network's notes (healthy 1 to 10, ill 30 to 69).
# Three in twenty steps: a single batch of healthy runs reaches it about once in ten runs.
TOO_LARGE, HOW_MANY, WITHIN = math.log(10), 3, 20
# Below this a float32 update of Adam is all epsilon (1e-8 by default), and SGD's is below rounding.
VANISHED = 1e-8
# Steps in a row: a batch without any loss (all masked, a satisfied hinge) has no gradient and is no illness.
IN_A_ROW = 10
# SageMaker Debugger's rule of the vanishing gradient has this default; half of all parameters, because a bias in front
# of a norm has no gradient by construction.
RELATIVE, PARTS, LOOKS = 1e-7, 0.5, 2


class Gradient(AbstractGuard):
    """Warns when the norm before clipping leaves its running range, upwards or to nothing."""

    name = "gradient"

    def __init__(self) -> None:
        self._usual = Baseline()
        self._large: list[int] = []
        self._tiny, self._looks = 0, 0

    def watch(self, event: Event) -> Alarm | None:
        if event.kind == "epoch" and event.look is not None:
            return self._starved(event, event.look)
        if event.kind != "step" or not math.isfinite(event.gradient_norm):
            return None
        self._tiny = self._tiny + 1 if event.gradient_norm < VANISHED else 0
        if self._tiny:
            return self._vanished(event) if self._tiny == IN_A_ROW else None
        size = math.log(event.gradient_norm)
        above = size - self._usual.centre
        alarm = None
        # Five of its own spreads where that is more than ten times: some losses scatter as widely.
        if self._usual.is_warm and above > max(TOO_LARGE, 5 * self._usual.spread):
            self._large = [step for step in self._large if step > event.step - WITHIN] + [event.step]
            if len(self._large) >= HOW_MANY:
                alarm = self._exploded(event, math.exp(above))
        # Learnt after it was judged: a jump must not widen its own measure.
        self._usual.add(size)
        return alarm

    def _exploded(self, event: Event, times: float) -> Alarm:
        self._large, self._usual = [], Baseline()
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"At step {event.step} the gradient norm is {event.gradient_norm:.3g}, {times:.0f} times its usual "
                f"size, the third time within {WITHIN} steps{_largest(event)}. Lower the learning rate, or lower "
                "the clip so that one batch cannot throw the model."
            ),
            numbers={"gradient_norm": event.gradient_norm, "times": times},
            remedy=Remedy(action="rollback", factor=0.5),
        )

    def _vanished(self, event: Event) -> Alarm:
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"Up to step {event.step} the gradient norm was below {VANISHED:g} for {IN_A_ROW} steps: nothing is "
                "learnt. Look for saturated or dead units, a loss that is cut off from the model (detach, argmax, a "
                "mask without entries), or a frozen model."
            ),
            numbers={"gradient_norm": event.gradient_norm},
            remedy=Remedy(action="stop"),
        )

    def _starved(self, event: Event, look: Look) -> Alarm | None:
        """Look at the parts: the last layer may learn while nothing reaches the first ones."""
        largest = max(look.gradients.values(), default=0.0)
        without = [name for name, norm in look.gradients.items() if norm < RELATIVE * largest]
        is_starved = largest > VANISHED and len(without) >= PARTS * len(look.gradients)
        self._looks = self._looks + 1 if is_starved else 0
        if self._looks != LOOKS:
            return None
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"At step {event.step} {len(without)} of {len(look.gradients)} parameters, such as {without[0]}, have "
                f"a gradient below {RELATIVE:g} of the largest: nothing reaches them. Scale the inputs, look for "
                "saturated or dead units, and use residual connections or norms in deep stacks."
            ),
            numbers={"parameters": len(without), "of": len(look.gradients)},
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A gradient that explodes, as with a recurrent network at too large a learning rate."""
        return streams.field("gradient_norm", lambda event: 60 * event.gradient_norm)

    def state_dict(self) -> dict[str, Any]:
        return {
            "usual": self._usual.plain(),
            "large": list(self._large),
            "tiny": self._tiny,
            "looks": self._looks,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._usual, self._large = Baseline.of(state["usual"]), list(state["large"])
        self._tiny, self._looks = state["tiny"], state["looks"]


def _largest(event: Event) -> str:
    gradients = {} if event.look is None else event.look.gradients
    return f", largest in {max(gradients, key=lambda name: gradients[name])}" if gradients else ""
