"""The typical loss of an epoch is its mean, unless a few batches are from another world."""

from __future__ import annotations

import json
import math
import random

import pytest

from homeostat.guards.typical import BLOCKS, Typical


def taken(values: list[float]) -> float:
    kept = Typical()
    for value in values:
        kept.add(value)
    found = kept.take()
    assert found is not None
    assert kept.take() is None
    return found


@pytest.mark.parametrize("count", [1, 2, 15, 31, 32, 33, 1000, 4097])
def test_without_outliers_it_is_the_mean(count: int) -> None:
    noise = random.Random(count)
    values = [noise.uniform(0.4, 0.6) for _ in range(count)]
    assert taken(values) == pytest.approx(sum(values) / count, rel=1e-12)


@pytest.mark.parametrize("count", [15, 100, 1000])
def test_one_poisoned_batch_hardly_moves_it(count: int) -> None:
    noise = random.Random(0)
    values = [noise.uniform(0.4, 0.6) for _ in range(count)]
    assert taken([*values, 1.25e6]) == pytest.approx(0.5, abs=0.1)


def test_what_is_no_number_is_left_out() -> None:
    assert taken([1.0, math.nan, 3.0, math.inf]) == 2.0


def test_it_takes_little_memory_and_survives_a_save() -> None:
    kept = Typical()
    for step in range(10_000):
        kept.add(float(step))
        assert len(kept.sums) <= BLOCKS
    again = Typical.of(json.loads(json.dumps(kept.plain())))
    assert again.take() == kept.take() == pytest.approx(4999.5)
