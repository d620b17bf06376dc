"""A differential equation that becomes harder to solve: evaluations that grow, and steps that are rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.baseline import WARM, Baseline
from homeostat.task.numbers import ODE_EVALUATIONS, ODE_REJECTED, ODE_STEPS

# Three times the run's own first steps. Healthy fields of the recipes grow by up to 1.8; half precision in the solver
# of the first guide took it from 1.2 to 0.017 steps a second.
GROWTH = 3.0
# More than one rejected step per accepted one means that the controller cannot find a step size.
REJECTED = 0.5
# Steps in a row before the first alarm, and before the second, if it goes on after the first advice.
IN_A_ROW, STILL = 10, 50
SOLVER = (ODE_EVALUATIONS, ODE_REJECTED, ODE_STEPS)


class Stiffness(AbstractGuard):
    """Warns when a solver needs ever more evaluations, or rejects most of its steps."""

    name = "stiffness"

    def __init__(self) -> None:
        self._first = Baseline()
        self._grown = 0
        self._rejected = 0
        self._raised: list[str] = []
        """Signs of which an alarm was raised, once for each time."""

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step" or not event.numbers:
            return None
        # One pass over the numbers: three of them took 6 of the 19 us that all guards cost per step (log/guards.md).
        evaluations, rejected, steps = map(event.numbers.get, SOLVER)
        if rejected is not None and steps:
            self._rejected = self._rejected + 1 if rejected > REJECTED * steps else 0
            if self._is_due("rejected", self._rejected):
                return self._alarm(
                    event, "rejected", f"{rejected:.0f} of {steps:.0f} solver steps are rejected"
                )
        return None if evaluations is None else self._growth(event, evaluations)

    def _growth(self, event: Event, evaluations: float) -> Alarm | None:
        if self._first.count < WARM:  # the run's own beginning is the measure; it does not drift along
            self._first.add(evaluations)
            return None
        usual = self._first.centre
        self._grown = self._grown + 1 if evaluations > GROWTH * usual else 0
        if not self._is_due("grown", self._grown):
            return None
        times = f"{evaluations / max(usual, 1):.1f} times those of the first steps"
        return self._alarm(event, "grown", f"a solve needs {evaluations:.0f} evaluations, {times}")

    def _is_due(self, sign: str, lasted: int) -> bool:
        return lasted == (IN_A_ROW, STILL, -1)[self._raised.count(sign)]

    def _alarm(self, event: Event, sign: str, what: str) -> Alarm:
        is_again = sign in self._raised
        self._raised.append(sign)
        long = STILL if is_again else IN_A_ROW
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"At step {event.step} {what}, for {long} steps: the vector field becomes stiff, or its "
                "precision is too low for the tolerance. Keep the solve in fp32, loosen rtol and atol (never below ten "
                "times the resolution of the state), scale time to about 1, or take a fixed step."
            ),
            numbers={name: event.numbers[name] for name in SOLVER if name in event.numbers},
            # Tolerances first. Where stability sets the step they do not help: 189 evaluations with and without; bosh3
            # needs 133.
            remedy=Remedy(action="change_solver")
            if is_again
            else Remedy(action="loosen_tolerance", factor=10.0),
        )

    @staticmethod
    def example() -> Iterator[Event]:
        """Half precision inside the solver."""
        return streams.measured(ode_evaluations=900.0)

    def state_dict(self) -> dict[str, Any]:
        return {
            "first": self._first.plain(),
            "grown": self._grown,
            "rejected": self._rejected,
            "told": list(self._raised),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._first, self._raised = Baseline.of(state["first"]), list(state["told"])
        self._grown, self._rejected = state["grown"], state["rejected"]
