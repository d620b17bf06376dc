"""N steps equal k steps, an interruption, and N - k steps: every bit of the State, for everything that evolves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, model, pairs, squared_error
from homeostat.engine.fit import fit
from homeostat.engine.loop import Loop
from homeostat.engine.schedule import ScheduleConfig
from homeostat.engine.settings import Settings
from homeostat.engine.state import differences
from homeostat.errors import Interrupted
from homeostat.guards import every
from homeostat.run import create
from homeostat.task.task import Group, Loss, Task

OPTIM = SETTINGS.optim
PLATEAU = ScheduleConfig(schedule="plateau", plateau_patience=1)

SETTING_VARIANTS: dict[str, Settings] = {
    "plain": SETTINGS,
    "average": replace(SETTINGS, optim=replace(OPTIM, average=0.9)),
    "adam": replace(SETTINGS, optim=replace(OPTIM, optimizer="adam")),
    "plateau": replace(SETTINGS, schedule=PLATEAU, evaluate_every=2),
    "one-cycle": replace(SETTINGS, schedule=ScheduleConfig(schedule="one-cycle", warmup=0.3)),
    "pieces": replace(SETTINGS, accumulate=3),
    "patience": replace(SETTINGS, patience=2, evaluate_every=3, optim=replace(OPTIM, learning_rate=0.3)),
    "bf16": replace(SETTINGS, precision="bf16"),
}


def bucketed() -> Task[Pairs]:
    task = make_task()
    lengths = np.arange(70) % 9
    return replace(task, batches=replace(task.batches, lengths=lengths))


def augmented() -> Task[Pairs]:
    def shifted(batch: Pairs, epoch: int) -> Pairs:
        return replace(batch, x=batch.x + 0.01 * (batch.ids[:, None] + epoch))

    task = make_task()
    return replace(task, batches=replace(task.batches, augment=shifted))


def gathered_slowly() -> Task[Pairs]:
    """Slow enough that a thread gathers ahead; what it has in hand at the interruption must not be missed."""
    task = make_task()

    def slow(rows: np.ndarray) -> Pairs:
        torch.linalg.svdvals(torch.ones(120, 120))
        return pairs().at(rows)

    return replace(task, batches=replace(task.batches, gather=slow))


TASK_VARIANTS: dict[str, Callable[[], Task[Pairs]]] = {
    "batch norm": lambda: make_task(model(norm=True)),
    "groups": lambda: replace(make_task(), groups=(Group("0.", rate=0.1), Group("4.bias", rate=0.0))),
    "bucketed": bucketed,
    "augmented": augmented,
    "gathered slowly": gathered_slowly,
    "last batch dropped": lambda: replace(make_task(), batches=replace(make_task().batches, drop_last=True)),
}

CASES = [(name, make_task, settings) for name, settings in SETTING_VARIANTS.items()]
CASES += [(name, task, SETTINGS) for name, task in TASK_VARIANTS.items()]


@pytest.mark.parametrize(("task", "settings"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_resuming_is_invisible(tmp_path: Path, task: Callable[[], Task[Pairs]], settings: Settings) -> None:
    whole = fit(task(), settings, create(tmp_path / "whole", {}), every()).snapshot()
    run = create(tmp_path / "run", {})
    probed = 6 if settings.precision == "bf16" else 0  # losses of the probe, before the first step
    for _ in range(30):
        try:
            state = fit(stopping_after(task(), 7 + probed), settings, run, every())
            break
        except Interrupted:
            continue
    assert run.status()["state"] == "done"
    assert len(list(run.events("resume"))) >= 1
    assert not differences(whole, state.snapshot())


def stopping_after(task: Task[Pairs], steps: int) -> Task[Pairs]:
    calls = count(1)

    def loss(network: nn.Module, batch: Pairs) -> Loss:
        if next(calls) == steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return squared_error(network, batch)

    return replace(task, loss=loss)


def test_the_journal_of_a_resumed_run_has_the_same_means(tmp_path: Path) -> None:
    fit(make_task(), SETTINGS, whole := create(tmp_path / "whole", {}))
    run = create(tmp_path / "run", {})
    with pytest.raises(Interrupted):
        fit(stopping_after(make_task(), 7), SETTINGS, run)
    fit(make_task(), SETTINGS, run)
    for kind in ("step", "epoch", "score"):
        means = [
            [(e["step"], e.get("train/loss"), e.get("valid/mse")) for e in r.events(kind)]
            for r in (whole, run)
        ]
        assert means[0] == means[1]


def test_a_first_step_that_is_left_in_the_middle_has_changed_nothing(tmp_path: Path) -> None:
    """BatchNorm moves its statistics in the forward pass, which is over when the signal comes.

    The evaluation before that step has made another state of it, so what is in memory is saved.
    """

    def task() -> Task[Pairs]:
        return make_task(model(norm=True))

    def left(scored: nn.Module) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {"valid/mse": 0.0}

    def left_after_forward(network: nn.Module, batch: Pairs) -> Loss:
        found = squared_error(network, batch)
        os.kill(os.getpid(), signal.SIGTERM)
        return found

    whole = fit(task(), SETTINGS, create(tmp_path / "whole", {})).snapshot()
    run = create(tmp_path / "run", {})
    with pytest.raises(Interrupted, match="stopped at step 5"):
        fit(replace(task(), score=left), SETTINGS, run)
    with pytest.raises(Interrupted, match="stopped at step 5"):
        fit(replace(task(), loss=left_after_forward), SETTINGS, run)
    assert not differences(whole, fit(task(), SETTINGS, run).snapshot())


def test_an_evaluation_that_is_left_leaves_the_model_in_the_mode_it_had(tmp_path: Path) -> None:
    network = model(norm=True)

    def left(scored: nn.Module) -> dict[str, float]:
        os.kill(os.getpid(), signal.SIGTERM)
        return {"valid/mse": 0.0}

    with pytest.raises(Interrupted):
        fit(make_task(network, score=left), SETTINGS, create(tmp_path / "run", {}))
    assert all(part.training for part in network.modules())
    assert torch.is_grad_enabled()


def test_a_request_during_the_last_save_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained any more, but the recipe around this fit must not go on to its next one."""
    save = Loop.save

    def asked_to_stop(loop: Loop, wait: bool = False) -> None:
        save(loop, wait)
        if loop.timetable.is_over(loop.state):
            os.kill(os.getpid(), signal.SIGTERM)

    whole = fit(make_task(), SETTINGS, create(tmp_path / "whole", {})).snapshot()
    run = create(tmp_path / "run", {})
    monkeypatch.setattr(Loop, "save", asked_to_stop)
    with pytest.raises(Interrupted, match="SIGTERM"):
        fit(make_task(), SETTINGS, run)
    assert run.status()["state"] == "interrupted"
    monkeypatch.undo()
    assert not differences(whole, fit(make_task(), SETTINGS, run).snapshot())
    assert run.status()["state"] == "done"
