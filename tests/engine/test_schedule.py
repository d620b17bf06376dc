"""The learning rate is a pure function of progress."""

from __future__ import annotations

import math

import pytest

from homeostat.engine.schedule import WARMUP_START, ScheduleConfig, better, drops, factor, stale
from homeostat.errors import ConfigError

SHAPES = ["constant", "cosine", "plateau"]


@pytest.mark.parametrize("shape", SHAPES)
def test_rises_linearly_through_the_warm_up_to_the_peak(shape: str) -> None:
    config = ScheduleConfig(schedule=shape, warmup=0.2)
    assert factor(config, 0.0) == WARMUP_START
    assert factor(config, 0.1) == pytest.approx((WARMUP_START + 1) / 2)
    assert factor(config, 0.2) == pytest.approx(1.0)


def test_cosine_falls_from_the_peak_to_the_floor() -> None:
    config = ScheduleConfig(schedule="cosine", floor=0.1)
    values = [factor(config, step / 100) for step in range(101)]
    assert values == sorted(values, reverse=True)
    assert values[0] == 1.0
    assert values[50] == pytest.approx(0.55)
    assert values[-1] == pytest.approx(0.1)


def test_one_cycle_is_a_warm_up_and_a_cosine() -> None:
    cycle = ScheduleConfig(schedule="one-cycle", warmup=0.3)
    cosine = ScheduleConfig(schedule="cosine", warmup=0.3)
    assert [factor(cycle, p / 10) for p in range(11)] == [factor(cosine, p / 10) for p in range(11)]


def test_constant_stays() -> None:
    assert {factor(ScheduleConfig(schedule="constant"), p / 7) for p in range(8)} == {1.0}


def test_plateau_drops_once_per_patience_without_a_better_score() -> None:
    scores = [0.5, 0.6, 0.6, 0.59, 0.61, 0.6, 0.6, 0.6, 0.6]
    assert [drops(scores[:n], "max", 2) for n in range(len(scores) + 1)] == [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]
    assert factor(ScheduleConfig(schedule="plateau"), 0.5, drops=2) == 0.25
    assert factor(ScheduleConfig(schedule="plateau", floor=0.3), 0.5, drops=9) == 0.3


def test_a_score_that_is_not_a_number_is_never_better() -> None:
    assert not better(math.nan, 0.5, "max")
    assert better(0.5, math.nan, "min")
    assert stale([math.nan, math.nan], "max") == 2


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"warmup": 1.0}, r"warmup 1\.0 must be a share of all steps"),
        ({"floor": -0.1}, r"floor -0\.1 must be a share of the peak rate"),
        ({"schedule": "one-cycle"}, "one-cycle needs a warm-up; set warmup, for example 0.3"),
        ({"plateau_patience": 0}, "plateau_patience 0 must be at least 1"),
    ],
)
def test_impossible_schedules_are_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        ScheduleConfig(**wrong)
