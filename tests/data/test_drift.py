"""Laws of drift: the same population is silent, and one in another unit is named with that unit."""

from __future__ import annotations

import numpy as np
import pytest

from homeostat.data.drift import FEWEST, changes, median, profile


def weights(subjects: int, seed: int) -> np.ndarray:
    return 80 * np.exp(0.25 * np.random.default_rng(seed).normal(size=subjects))


def described(values: np.ndarray, unit: str = "kg") -> list[dict[str, object]]:
    others = [("lb", 0.45359237, 0.0), ("g", 0.001, 0.0)] if unit else []
    return [profile("Weight", values, subjects=len(values), unit=unit, others=others)]


@pytest.mark.parametrize("unit", ["kg", ""])
@pytest.mark.parametrize("subjects", [1, 5, 20, 500])
def test_the_same_population_is_silent(subjects: int, unit: str) -> None:
    trained = described(weights(2000, 0), unit)
    silent = [not changes(trained, described(weights(subjects, seed), unit)) for seed in range(1, 101)]
    assert sum(silent) >= 99


@pytest.mark.parametrize("subjects", [3, 20, 500])
def test_another_unit_is_named(subjects: int) -> None:
    trained = described(weights(2000, 0))
    for name, factor in (("lb", 0.45359237), ("g", 0.001)):
        new = described(weights(subjects, 1) / factor)
        (change,) = changes(trained, new)
        assert change.likely == name
        assert f"in {name} it would fit" in str(change)
        assert f"{median(trained[0]):.4g} kg" in str(change)


def test_another_population_of_a_variable_without_units_is_told() -> None:
    trained = described(weights(2000, 0), "")
    (change,) = changes(trained, described(1000 * weights(20, 1), ""))
    assert change.likely == ""


def test_nothing_is_known_from_nothing() -> None:
    trained = described(weights(2000, 0))
    assert not changes(trained, described(1e6 * weights(FEWEST - 1, 1)))
    assert not changes(described(np.array([])), described(weights(20, 1)))
    assert not changes([], described(weights(20, 1)))
    assert not changes(trained, [])
