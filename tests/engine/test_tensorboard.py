"""The journal as TensorBoard events: whole on the disk when `fit` returns, whatever ended it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from torch import nn

from curve import SETTINGS, Pairs, make_task, squared_error
from homeostat.engine.fit import fit
from homeostat.run import Run
from homeostat.task.task import Loss

ON = replace(SETTINGS, tensorboard=True)


def broken(network: nn.Module, batch: Pairs) -> Loss:
    if 13 in batch.ids.tolist():
        raise KeyError("power cut")
    return squared_error(network, batch)


@pytest.mark.parametrize("loss", [squared_error, broken])
def test_no_thread_of_the_writer_is_left(run: Run, loss: Callable[[nn.Module, Pairs], Loss]) -> None:
    before = set(threading.enumerate())
    try:
        fit(make_task(loss=loss), ON, run)
    except KeyError:
        assert loss is broken
    assert set(threading.enumerate()) == before


def test_it_holds_the_numbers_of_the_journal(run: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fit(make_task(), ON, run)
    events = EventAccumulator(str(run.tensorboard))
    events.Reload()
    kept = [(scalar.step, scalar.value) for scalar in events.Scalars("valid/mse")]
    journaled = [(event["step"], event["valid/mse"]) for event in run.events("score")]
    assert kept == [(step, pytest.approx(value)) for step, value in journaled]
