"""The order of samples is a pure function of seed, epoch and step."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.data.batches import Batches, Indices, ahead
from homeostat.errors import ConfigError
from patience import wait_for


def batches(count: int = 70, size: int = 16, **changes: object) -> Batches[Indices]:
    return replace(Batches(count=count, size=size, gather=lambda rows: rows, seed=7), **changes)


@settings(max_examples=50)
@given(
    count=st.integers(1, 300), size=st.integers(1, 40), epoch=st.integers(0, 5), seed=st.integers(0, 2**63 - 1),
    bucketed=st.booleans(),
)  # fmt: skip
def test_an_epoch_holds_every_sample_once(
    count: int, size: int, epoch: int, seed: int, bucketed: bool
) -> None:
    lengths = np.arange(count) % 11 if bucketed else None
    order = batches(count, size, seed=seed, lengths=lengths).order(epoch)
    assert sorted(order.tolist()) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    one = batches()
    assert one.order(3).tolist() == batches(size=5).order(3).tolist()
    assert one.order(3).tolist() != one.order(4).tolist()
    assert one.order(3).tolist() != batches(seed=8).order(3).tolist()


@pytest.mark.parametrize("drop_last", [False, True])
def test_any_step_can_be_drawn_at_any_time(drop_last: bool) -> None:
    shuffled = batches(drop_last=drop_last)
    assert len(shuffled) == (4 if drop_last else 5)
    from_start = [rows.tolist() for _, rows in islice(shuffled.rows(0), 13)]
    assert [shuffled.indices(step).tolist() for step in range(13)] == from_start
    assert [rows.tolist() for _, rows in islice(shuffled.rows(7), 6)] == from_start[7:]


def test_buckets_hold_similar_lengths_and_come_in_random_order() -> None:
    lengths = np.random.default_rng(0).integers(1, 1000, 4000)
    bucketed = batches(4000, 50, lengths=lengths)
    spread = [np.ptp(lengths[bucketed.indices(step)]) for step in range(len(bucketed))]
    assert np.mean(spread) < 50
    means = [lengths[bucketed.indices(step)].mean() for step in range(len(bucketed))]
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.4


def test_augmentation_knows_the_epoch() -> None:
    augmented = batches(augment=lambda rows, epoch: rows + 1000 * epoch)
    assert augmented.batch(np.array([5]), 3).tolist() == [3005]


def test_what_can_be_drawn_is_not_gathered_first() -> None:
    def gather(rows: np.ndarray) -> np.ndarray:
        raise AssertionError("gathered to be thrown away")

    drawn = batches(gather=gather, draw=lambda rows, epoch: rows + 1000 * epoch)
    assert drawn.batch(np.array([5]), 3).tolist() == [3005]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"count": 0}, "Batches of 0 samples: there is nothing to train on"),
        ({"size": 0}, "batch size 0 must be at least 1"),
        ({"count": 3, "drop_last": True}, "drop_last with 3 samples and a batch size of 16 leaves no batch"),
        ({"lengths": np.ones(3)}, "lengths has 3 entries for 70 samples"),
    ],
)
def test_impossible_batches_are_refused(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        batches(**wrong)


def test_gathering_ahead_changes_nothing_and_leaves_no_thread() -> None:
    before = threading.active_count()
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert threading.active_count() == before


def test_gathering_ahead_overlaps() -> None:
    produced: list[int] = []

    def items() -> Iterator[int]:
        for item in range(5):
            produced.append(item)
            yield item

    stream = ahead(items(), depth=2)
    assert next(stream) == 0
    wait_for(lambda: len(produced) >= 3)
    stream.close()


def test_an_error_while_gathering_is_raised_where_the_batch_is_asked_for() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("row 5 is broken")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="row 5 is broken"):
        next(stream)


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    stream = ahead(iter(range(10**6)))
    next(stream)
    stream.close()
    assert threading.active_count() == before
