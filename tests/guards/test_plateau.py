"""Plateau speaks of what is not learnt: not of a warm-up, and not of one poisoned row that lifts the mean."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from homeostat.guards import streams
from homeostat.guards.base import Event
from homeostat.guards.plateau import Plateau


def alarms_of(events: Iterator[Event]) -> list[str]:
    guard = Plateau()
    return [alarm.sentence for event in events if (alarm := guard.watch(event)) is not None]


def one_cycle(epochs: int, warmup: float, seed: int, learns: bool = True) -> Iterator[Event]:
    """A run whose rate rises linearly at first; until it has passed a tenth of its peak, hardly anything is learnt."""
    # An epoch sees every sample once, so its mean moves less than steps drawn apart would let it.
    noise, total, spread = random.Random(seed), epochs * streams.EPOCH, 0.1 if learns else 0.02
    summed, losses = 0.0, []
    for event in streams.healthy(seed, epochs=epochs):
        progress = event.step / total
        rate = min(progress / warmup, (1 - progress) / (1 - warmup))
        if event.kind == "step":
            summed += rate**2 / total
            loss = 0.69 * (math.exp(-4 * summed) if learns else 1.0) * noise.lognormvariate(0, spread)
            losses.append(loss)
            yield replace(event, learning_rate=1e-3 * rate, loss=loss)
        elif event.kind == "epoch":
            yield replace(event, loss=sum(losses) / len(losses))
            losses = []
        else:
            yield event


@pytest.mark.parametrize("epochs", [3, 4, 6, 10, 16])
@pytest.mark.parametrize("warmup", [0.2, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_a_warm_up_is_no_plateau(epochs: int, warmup: float, seed: int) -> None:
    assert alarms_of(one_cycle(epochs, warmup, seed)) == []


@pytest.mark.parametrize("epochs", [6, 10, 16])
@pytest.mark.parametrize("seed", range(3))
def test_a_one_cycle_run_that_learns_nothing_is_told(epochs: int, seed: int) -> None:
    assert "nothing is learnt" in alarms_of(one_cycle(epochs, 0.3, seed, learns=False))[0]


def test_one_poisoned_batch_in_each_epoch_is_no_plateau() -> None:
    """Its mean would be 5e4 from the first epoch to the last."""

    def poison(event: Event) -> Event:
        if event.kind == "step" and event.step % streams.EPOCH == 11:
            return replace(event, loss=1.25e6)
        return replace(event, loss=5e4) if event.kind == "epoch" else event

    assert alarms_of(streams.ill(poison, onset=0)) == []
