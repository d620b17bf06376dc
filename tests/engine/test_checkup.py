"""Cheap laws are tried before the first step; the run is the same with them as without."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from curve import SETTINGS, Pairs, make_task, model
from homeostat.audits.folder import examine_run
from homeostat.engine.fit import fit
from homeostat.engine.state import differences
from homeostat.guards import every
from homeostat.run import Run, create
from homeostat.task.task import Loss

ON = replace(SETTINGS, epochs=2, audits=True)


def test_the_audits_change_no_bit(tmp_path: Path) -> None:
    plain = fit(
        make_task(model(norm=True), size=14), replace(ON, audits=False), create(tmp_path / "a", {}), every()
    )
    tried = fit(make_task(model(norm=True), size=14), ON, create(tmp_path / "b", {}), every())
    assert differences(plain.snapshot(), tried.snapshot()) == []


def test_a_healthy_run_has_nothing_but_laws_tried(run: Run) -> None:
    fit(make_task(), ON, run, every())
    (event,) = run.events("audits")
    assert len(event["tried"]) >= 6
    assert event["findings"] == 0
    assert not list(run.events("finding"))


def test_what_is_found_is_told_once_and_kept(run: Run, capsys: object) -> None:
    def by_neighbours(network: nn.Module, batch: Pairs) -> Loss:
        outputs = network(batch.x)
        return Loss((outputs - outputs.mean() - batch.y).square().mean())

    fit(make_task(loss=by_neighbours), ON, run, every())
    fit(make_task(loss=by_neighbours), replace(ON, epochs=3), run, every())
    found = [event["audit"] for event in run.events("finding")]
    assert found == ["batch_invariance"]
    exam = examine_run(run)
    assert "batch_invariance" in [finding.audit for finding in exam.findings]
    assert torch.is_grad_enabled()
