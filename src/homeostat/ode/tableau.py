"""A tableau is the table of numbers that makes one Runge-Kutta method differ from another; it checks itself."""

import math
from dataclasses import dataclass

Row = tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Tableau:
    """An explicit method in end-slope form: `s` stages, then the slope at the new point.

    The slope at the new point is the next step's first stage, so every method here costs `s` evaluations per
    accepted step, and every method has a slope at both ends for dense output.
    """

    name: str
    order: int
    a: tuple[Row, ...]
    """Rows of stages 2..s, each as long as the stages before it."""
    b: Row
    """Weights of the `s` stages in the step."""
    error: Row | None = None
    """Weights of the `s` stages and the end slope in (step - embedded step); None: no error estimate, fixed steps."""
    dense: tuple[Row, ...] | None = None
    """Per stage and for the end slope, coefficients of theta, theta^2, ... ; None: cubic Hermite."""
    lands_on_times: bool = False
    """Steps end on the observation times, because no interpolant is as good as the step."""
    source: str

    def __post_init__(self) -> None:
        stages = len(self.b)
        lengths = [len(row) for row in self.a]
        if lengths != list(range(1, stages)):
            raise ValueError(
                f"{self.name}: rows of a have lengths {lengths}; {stages} stages need {list(range(1, stages))}."
            )
        if self.error is not None:
            self._require(len(self.error) == stages + 1, "error must weigh every stage and the end slope")
            self._require(abs(math.fsum(self.error)) < 1e-9, "error weights must sum to zero")
        if self.dense is not None:
            self._require(
                len(self.dense) == stages + 1, "dense must have a row per stage and for the end slope"
            )
            ends = [math.fsum(row) for row in self.dense]
            gap = max(abs(end - b) for end, b in zip(ends, (*self.b, 0.0), strict=True))
            self._require(gap < 1e-7, f"dense output misses the step's end by {gap:.1e}")
        # The quadrature conditions (B(p) of Butcher 1964) catch a mistyped weight or node; tests observe the order.
        for power in range(1, self.order + 1):
            total = math.fsum(b * c ** (power - 1) for b, c in zip(self.b, self.c, strict=True))
            self._require(abs(total - 1 / power) < 1e-9, f"sum of b c^{power - 1} is {total}, not 1/{power}")

    def _require(self, truth: bool, sentence: str) -> None:
        if not truth:
            raise ValueError(f"Tableau of {self.name}: {sentence}.")

    @property
    def c(self) -> Row:
        """Return the nodes: the time of each stage within the step, from the row sums of `a`."""
        return (0.0, *(math.fsum(row) for row in self.a))

    @property
    def is_adaptive(self) -> bool:
        return self.error is not None

    @property
    def interpolant(self) -> tuple[Row, ...]:
        """Return the dense-output coefficients, one row per stage and one for the end slope."""
        if self.dense is not None:
            return self.dense
        # Cubic Hermite through both ends with both slopes (Hairer, Norsett, Wanner, Solving ODEs I, II.6):
        # (3 theta^2 - 2 theta^3) of the step, plus slopes.
        rows = [(0.0, 3 * b, -2 * b) for b in self.b]
        first = (rows[0][0] + 1.0, rows[0][1] - 2.0, rows[0][2] + 1.0)
        return (first, *rows[1:], (0.0, -1.0, 1.0))
