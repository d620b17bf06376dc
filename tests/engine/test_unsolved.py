"""A differential equation that cannot be solved is an illness like any other: named, halted, or healed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from curve import SETTINGS, Pairs, make_task, model, pairs
from homeostat.engine.fit import fit
from homeostat.engine.state import differences
from homeostat.errors import Halted, Unsolved
from homeostat.guards import every
from homeostat.ode import odeint
from homeostat.run import Run, create
from homeostat.task.task import Loss, Task

HEAL = replace(SETTINGS, heal=True, epochs=4)


def fading(t: Tensor, y: Tensor) -> Tensor:
    return -y


def at_the_end(network: nn.Module, batch: Pairs) -> Loss:
    """The outputs of the network, after they have faded for a while."""
    start = network(batch.x)
    times = torch.tensor([0.0, 0.1]).expand(len(start), 2)
    end = odeint(fading, start, times, solver="rk4", step_size=0.1).require_ok().ys[:, -1]
    return Loss(nn.functional.mse_loss(end, batch.y))


def poisoned() -> Task[Pairs]:
    learnt = pairs()
    learnt.x[11] = float("nan")
    return make_task(model(dropout=0.0), at_the_end, train=learnt)


def test_the_guard_names_the_equation_and_its_sample(run: Run) -> None:
    with pytest.raises(Halted, match=r"the loss is nan, on rows .*is a differential equation\. y0 of sample"):
        fit(poisoned(), replace(HEAL, heal=False), run, every())
    assert run.status()["state"] == "halted"


def test_without_guards_it_is_an_error_of_the_run(run: Run) -> None:
    with pytest.raises(Unsolved, match="y0 of sample .* is not finite"):
        fit(poisoned(), HEAL, run)
    assert run.status()["exit_code"] == 4


def test_the_row_is_put_in_quarantine(run: Run) -> None:
    state = fit(poisoned(), HEAL, run, every())
    event = next(run.events("remedy"))
    assert (event["action"], event["rows"]) == ("skip_batch", [11])
    assert state.best is not None
    assert state.best.score < 0.6


def test_a_kill_after_the_cure_changes_nothing(tmp_path: Path) -> None:
    expected = fit(poisoned(), HEAL, create(tmp_path / "whole", {}), every())
    run, steps = create(tmp_path / "killed", {}), {"n": 0}

    def dies(network: nn.Module, batch: Pairs) -> Loss:
        if torch.is_grad_enabled():
            steps["n"] += 1
            if steps["n"] == 12:
                raise KeyError("power cut")
        return at_the_end(network, batch)

    often = replace(HEAL, saving=replace(HEAL.saving, save_every=2))
    with pytest.raises(KeyError):
        fit(replace(poisoned(), loss=dies), often, run, every())
    assert list(run.events("remedy"))
    assert not differences(expected.snapshot(), fit(poisoned(), often, run, every()).snapshot())
