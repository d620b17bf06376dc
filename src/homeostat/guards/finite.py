"""A loss or a gradient that is no number: the run learns nothing more."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy


class Finite(AbstractGuard):
    """Halts at the first non-finite loss or gradient, before it reaches the parameters where that is possible."""

    name = "finite"

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step" or (math.isfinite(event.loss) and math.isfinite(event.gradient_norm)):
            return None
        if math.isfinite(event.loss):
            what, remedy = f"gradient norm is {event.gradient_norm}", "Lower the learning rate"
            where = _first_gradient(event)
        else:
            bad = [name for name, value in event.terms.items() if not math.isfinite(value)]
            what = f"loss is {event.loss}" + (f" (from {', '.join(bad)})" if bad else "")
            remedy = "Look at these samples first, then at the learning rate"
            where = "" if event.look is None else event.look.first_bad
        rows = ", ".join(str(row) for row in event.rows[:8]) + (", ..." if len(event.rows) > 8 else "")
        first = f"; the first part that is not finite is {where}" if where else ""
        return Alarm(
            guard=self.name,
            level="halt",
            sentence=f"At step {event.step} the {what}, on rows {rows}{first}. {remedy}.",
            numbers={"loss": event.loss, "gradient_norm": event.gradient_norm},
            remedy=Remedy(action="skip_batch"),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """A loss that overflows."""
        return streams.field("loss", lambda event: math.nan)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing is remembered: one event is enough for a verdict."""


def _first_gradient(event: Event) -> str:
    """Name the last parameter in the model's order: the backward pass meets it first and infects those before it."""
    gradients = {} if event.look is None else event.look.gradients
    bad = [name for name, norm in gradients.items() if not math.isfinite(norm)]
    return f"the gradient of {bad[-1]}" if bad else ""
