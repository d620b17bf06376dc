"""Does the differential equation become harder to solve? Evaluations that grow, and steps that are rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from homeostat.guards import streams
from homeostat.guards.base import AbstractGuard, Alarm, Event, Remedy
from homeostat.guards.baseline import WARM, Baseline

# Three times the run's own first steps. Healthy fields of the recipes grow by up to 1.8; half precision in the solver
# of the first guide took it from 1.2 to 0.017 steps a second.
GROWTH = 3.0
# More than one rejected step per accepted one means that the controller cannot find a step size.
REJECTED = 0.5
# Told at the first, and once more if it goes on after the first advice was, or was not, taken.
IN_A_ROW, STILL = 10, 50
ENDINGS = ("evaluations", "rejected", "solver_steps")


class Stiffness(AbstractGuard):
    """Warns when a solver needs ever more evaluations, or rejects most of its steps."""

    name = "stiffness"

    def __init__(self) -> None:
        self._first = Baseline()
        self._grown = 0
        self._rejected = 0
        self._told: list[str] = []
        """Signs that were told, once for each time."""

    def watch(self, event: Event) -> Alarm | None:
        if event.kind != "step" or not event.numbers:
            return None
        told = _of_solvers(event.numbers)
        if not told:
            return None
        evaluations, rejected, steps = told.get("evaluations"), told.get("rejected"), told.get("steps")
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
        return lasted == (IN_A_ROW, STILL, -1)[self._told.count(sign)]

    def _alarm(self, event: Event, sign: str, what: str) -> Alarm:
        is_again = sign in self._told
        self._told.append(sign)
        long = STILL if is_again else IN_A_ROW
        return Alarm(
            guard=self.name,
            level="warn",
            sentence=(
                f"At step {event.step} {what}, for {long} steps: the vector field becomes stiff, or its "
                "precision is too low for the tolerance. Keep the solve in fp32, loosen rtol and atol (never below ten "
                "times the resolution of the state), scale time to about 1, or take a fixed step."
            ),
            numbers={
                name: value
                for name, value in event.numbers.items()
                if "solver" in name or "evaluations" in name
            },
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
            "told": list(self._told),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._first, self._told = Baseline.of(state["first"]), list(state["told"])
        self._grown, self._rejected = state["grown"], state["rejected"]


def _of_solvers(numbers: Mapping[str, float]) -> dict[str, float]:
    """The last word of each number's name that a solver gives -> the largest of that name. One pass."""
    found: dict[str, float] = {}
    for name, value in numbers.items():
        if name.endswith(ENDINGS):
            word = name.rpartition("_")[2]
            found[word] = max(value, found.get(word, value))
    return found
