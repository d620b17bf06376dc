"""A table that is mistyped is refused, and a table that is accepted meets the conditions of its order."""

from __future__ import annotations

import dataclasses
import math

import pytest

from homeostat.ode import SOLVERS, Tableau
from homeostat.ode.heun import HEUN
from homeostat.ode.tsit5 import TSIT5

every_solver = pytest.mark.parametrize("tableau", SOLVERS.values(), ids=list(SOLVERS))
adaptive_solvers = [tableau for tableau in SOLVERS.values() if tableau.is_adaptive]


def weighted_sums(tableau: Tableau, weights: tuple[float, ...]) -> dict[str, float]:
    """The order conditions to order four that are not pure quadratures, as left side minus right side."""
    c = tableau.c
    rows = ((), *tableau.a)

    def apply(values: list[float]) -> list[float]:
        return [math.fsum(x * v for x, v in zip(row, values, strict=False)) for row in rows]

    def dot(values: list[float]) -> float:
        return math.fsum(w * v for w, v in zip(weights, values, strict=True))

    ac, acc = apply(list(c)), apply([x * x for x in c])
    return {
        "3: b a c": dot(ac) - 1 / 6,
        "4: b c a c": dot([x * y for x, y in zip(c, ac, strict=True)]) - 1 / 8,
        "4: b a c^2": dot(acc) - 1 / 12,
        "4: b a a c": dot(apply(ac)) - 1 / 24,
    }


@every_solver
def test_conditions_that_bind_a_and_b_hold_to_order_four(tableau: Tableau) -> None:
    for name, gap in weighted_sums(tableau, tableau.b).items():
        if int(name[0]) <= tableau.order:
            assert abs(gap) < 1e-12, name


@pytest.mark.parametrize("tableau", adaptive_solvers, ids=lambda tableau: tableau.name)
def test_embedded_method_has_one_order_less_and_no_more(tableau: Tableau) -> None:
    """The error estimate vanishes for polynomials below the step's order, and is alive at that order."""
    nodes = (*tableau.c, 1.0)
    error = tableau.error or ()
    for power in range(tableau.order - 1):
        assert abs(math.fsum(e * c**power for e, c in zip(error, nodes, strict=True))) < 1e-9
    total = math.fsum(e * c ** (tableau.order - 1) for e, c in zip(error, nodes, strict=True))
    assert abs(total) > 1e-6


@every_solver
def test_dense_output_starts_at_the_start_with_its_slope_and_ends_at_the_end(tableau: Tableau) -> None:
    rows = tableau.interpolant
    assert [math.fsum(row) for row in rows] == pytest.approx([*tableau.b, 0.0], abs=1e-9)
    starts = [row[0] for row in rows]
    assert starts == pytest.approx([1.0, *[0.0] * len(tableau.a), 0.0], abs=1e-6)


@every_solver
def test_dense_output_integrates_polynomials_to_its_order(tableau: Tableau) -> None:
    """At any theta, sum of weight x c^k is theta^(k+1) / (k+1)."""
    order = (
        1 if tableau.name == "euler" else min(4, tableau.order) if tableau.dense else min(3, tableau.order)
    )
    nodes = (*tableau.c, 1.0)
    for theta in (0.25, 0.5, 0.8):
        weights = [math.fsum(x * theta ** (k + 1) for k, x in enumerate(row)) for row in tableau.interpolant]
        for power in range(order):
            total = math.fsum(w * c**power for w, c in zip(weights, nodes, strict=True))
            assert total == pytest.approx(theta ** (power + 1) / (power + 1), abs=1e-7), (theta, power)


@every_solver
def test_a_weight_that_is_off_is_refused(tableau: Tableau) -> None:
    mistyped = (tableau.b[0] + 1e-6, *tableau.b[1:])
    with pytest.raises(ValueError, match=f"Tableau of {tableau.name}: "):
        dataclasses.replace(tableau, b=mistyped, dense=None)


@pytest.mark.parametrize("row", range(len(TSIT5.a)))
def test_a_node_that_is_off_is_refused(row: int) -> None:
    rows = list(TSIT5.a)
    rows[row] = (rows[row][0] + 1e-6, *rows[row][1:])
    with pytest.raises(ValueError, match=r"tsit5: sum of b c\^1 is 0\.\d+, not 1/2"):
        dataclasses.replace(TSIT5, a=tuple(rows))


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rows of a have lengths \[2\]; 2 stages need \[1\]"):
        dataclasses.replace(HEUN, a=((1.0, 0.0),))


def test_an_error_estimate_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="error must weigh every stage and the end slope"):
        dataclasses.replace(HEUN, error=(-0.5, 0.5))
    with pytest.raises(ValueError, match="error weights must sum to zero"):
        dataclasses.replace(HEUN, error=(-0.5, 0.6, 0.0))


def test_a_dense_output_that_does_not_fit_is_refused() -> None:
    assert TSIT5.dense is not None
    with pytest.raises(ValueError, match="dense must have a row per stage"):
        dataclasses.replace(TSIT5, dense=TSIT5.dense[:-1])
    mistyped = ((TSIT5.dense[0][0], TSIT5.dense[0][1] + 1e-4, *TSIT5.dense[0][2:]), *TSIT5.dense[1:])
    with pytest.raises(ValueError, match="dense output misses the step's end by 1.0e-04"):
        dataclasses.replace(TSIT5, dense=mistyped)


def test_too_high_an_order_is_refused() -> None:
    with pytest.raises(ValueError, match="sum of b c"):
        dataclasses.replace(HEUN, order=3)


@every_solver
def test_every_method_names_its_source_and_itself(tableau: Tableau) -> None:
    assert SOLVERS[tableau.name] is tableau
    assert any(character.isdigit() for character in tableau.source)
