"""A healed run ends well, says what was done, stays within bounds, and is exact like any other."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, model, pairs, squared_error
from homeostat.engine import checkpoint
from homeostat.engine.fit import fit
from homeostat.engine.remedies import MOST_OF_A_KIND, Treatment, curable, rate_factor
from homeostat.engine.state import differences
from homeostat.errors import Halted
from homeostat.guards import every
from homeostat.guards.base import Alarm, Remedy
from homeostat.run import Run, create
from homeostat.task.task import Loss, Task

HEAL = replace(SETTINGS, heal=True, epochs=8)


def poisoned(value: float, rows: tuple[int, ...] = (11,)) -> Task[Pairs]:
    learnt = pairs()
    learnt.y[list(rows)] = value
    return make_task(model(), train=learnt)


def remedies(run: Run) -> list[dict[str, Any]]:
    return list(run.events("remedy"))


def test_a_poisoned_row_is_put_in_quarantine_and_training_ends(run: Run) -> None:
    state = fit(poisoned(float("nan")), HEAL, run, every())
    (event,) = remedies(run)
    assert event["action"] == "skip_batch"
    assert event["rows"] == [11]
    assert "1 rows are put in quarantine" in event["sentence"]
    assert state.step == 40
    healthy = fit(make_task(model()), HEAL, create(run.folder.parent / "healthy", {}), every())
    assert state.best is not None
    assert healthy.best is not None
    assert state.best.score < 1.25 * healthy.best.score


def test_without_heal_the_same_alarm_halts(run: Run) -> None:
    with pytest.raises(Halted, match="the loss is nan .from mse., on rows"):
        fit(poisoned(float("nan")), replace(HEAL, heal=False), run, every())
    assert not remedies(run)


def test_a_jump_is_taken_back_and_the_culprit_named(run: Run) -> None:
    state = fit(poisoned(1e4), HEAL, run, every())
    events = remedies(run)
    assert events[0]["action"] == "rollback"
    assert events[0]["rows"] == [11]
    assert events[0]["rate"] == 1.0
    assert events[0]["to"] < events[0]["alarm_step"]
    assert state.best is not None
    assert state.best.score < 1.0


def test_a_run_that_ends_too_early_is_extended_once_or_more_but_bounded(run: Run) -> None:
    slow = replace(HEAL, epochs=3, optim=replace(SETTINGS.optim, learning_rate=1e-4))
    slow = replace(slow, schedule=replace(SETTINGS.schedule, schedule="constant", warmup=0.0))
    learnt = pairs(400)
    state = fit(make_task(model(dropout=0.0), train=learnt), slow, run, every())
    actions = [note["action"] for note in remedies(run)]
    assert set(actions) == {"extend"}
    assert 1 <= len(actions) <= MOST_OF_A_KIND
    assert state.step == 3 * 25 * 2 ** len(actions)
    assert run.status()["total"] == state.step


@pytest.mark.parametrize("value", [float("nan"), 1e4])
@pytest.mark.parametrize("kill_at", [3, 14, 27])
def test_a_healed_run_resumes_to_the_same_bits(value: float, kill_at: int, tmp_path: Path) -> None:
    whole = fit(poisoned(value), HEAL, create(tmp_path / "whole", {}), every())
    run = create(tmp_path / "killed", {})
    steps = {"n": 0}

    def dies(network: nn.Module, batch: Pairs) -> Loss:
        if torch.is_grad_enabled():
            steps["n"] += 1
            if steps["n"] == kill_at:
                raise KeyError("power cut")
        return squared_error(network, batch)

    saving = replace(HEAL, saving=replace(HEAL.saving, save_every=2))
    with pytest.raises(KeyError):
        fit(replace(poisoned(value), loss=dies), saving, run, every())
    resumed = fit(poisoned(value), saving, run, every())
    assert differences(whole.snapshot(), resumed.snapshot()) == []
    assert whole.treatments


def test_a_save_in_progress_and_a_rollback_do_not_meet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(path: Path, content: dict[str, Any]) -> None:
        write(path, content)
        time.sleep(0.02)
        assert checkpoint.is_intact(path)

    write = checkpoint.write
    monkeypatch.setattr(checkpoint, "write", slowly)
    fit(poisoned(1e4), replace(HEAL, saving=replace(HEAL.saving, save_every=1)), run, every())
    assert [note["action"] for note in remedies(run)] == ["rollback"]
    assert all(checkpoint.is_intact(path) for path in checkpoint.ring(run.checkpoints))


def test_too_much_poison_is_a_fault_of_the_data(run: Run) -> None:
    with pytest.raises(Halted):
        fit(poisoned(float("nan"), tuple(range(0, 70, 2))), HEAL, run, every())


def test_remedies_are_bounded_and_a_task_must_know_how_to_loosen() -> None:
    alarm = Alarm(guard="g", level="warn", sentence="s", remedy=Remedy(action="lower_lr", factor=0.5))
    lowered = Treatment(action="lower_lr", guard="g", step=1, rate=0.5, factor=0.5, to=1)
    assert curable([alarm], [], ()) is alarm
    assert curable([alarm], [lowered] * MOST_OF_A_KIND, ()) is None
    loosen = replace(alarm, remedy=Remedy(action="loosen_tolerance", factor=10))
    assert curable([loosen], [], ()) is None
    assert curable([loosen], [], ("loosen_tolerance",)) is loosen
    assert rate_factor([lowered, lowered]) == 0.25
