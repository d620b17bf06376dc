"""Off the CPU, numbers are read one step late: every one arrives, and what came too late is never saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, pairs, squared_error
from homeostat.engine import checkpoint
from homeostat.engine.fit import fit
from homeostat.engine.readout import Readout
from homeostat.engine.state import differences
from homeostat.errors import Halted
from homeostat.guards.finite import Finite
from homeostat.run import Run
from homeostat.task.task import Loss


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stands in for a device that this machine need not have."""
    monkeypatch.setattr(Readout, "is_late", property(lambda readout: True))
    yield
    monkeypatch.undo()


def journal(run: Run) -> list[dict[str, object]]:
    return [
        {key: value for key, value in event.items() if key not in ("time", "seconds")}
        for event in run.events("step", "epoch", "score")
    ]


def test_the_same_numbers_arrive_in_the_same_order(run: Run, request: pytest.FixtureRequest) -> None:
    soon = fit(make_task(), SETTINGS, run.child("soon"), [Finite()])
    request.getfixturevalue("late")
    late = fit(make_task(), SETTINGS, run.child("late"), [Finite()])
    assert not differences(soon.model.state_dict(), late.model.state_dict())
    for one, other in zip(journal(run.child("soon")), journal(run.child("late")), strict=True):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert other[key] == (pytest.approx(value, rel=1e-6) if isinstance(value, float) else value)


@pytest.mark.usefixtures("late")
def test_an_alarm_that_comes_late_leaves_no_poisoned_checkpoint(run: Run) -> None:
    def poisoned(network: nn.Module, batch: Pairs) -> Loss:
        factor = float("nan") if 13 in batch.ids.tolist() else 1.0
        return Loss(squared_error(network, batch).total * factor)

    with pytest.raises(Halted, match="Guard finite"):
        fit(make_task(loss=poisoned), SETTINGS, run, [Finite()])
    for path in checkpoint.ring(run.checkpoints):
        weights = checkpoint.read(path)["state"]["model"]
        assert all(bool(torch.isfinite(value).all()) for value in weights.values())


@pytest.mark.usefixtures("late")
def test_an_alarm_that_comes_late_is_healed_by_going_back(run: Run) -> None:
    """The update that it is about was taken: weights before it come back, and its rows are left out."""
    learnt = pairs()
    learnt.y[11] = float("nan")
    state = fit(make_task(train=learnt), replace(SETTINGS, heal=True), run, [Finite()])
    (remedy,) = run.events("remedy")
    assert remedy["to"] <= remedy["alarm_step"]
    assert 11 in remedy["rows"]
    assert state.step == 30
    assert all(bool(torch.isfinite(value).all()) for value in state.model.state_dict().values())
