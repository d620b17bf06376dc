"""Which laws hold before the first step? The cheap audits, on the task itself; what they find goes into the journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from homeostat.audits import AUDITS, own
from homeostat.audits.base import Case
from homeostat.audits.exam import Exam, examine
from homeostat.engine import device as devices
from homeostat.engine.settings import Settings
from homeostat.engine.state import State
from homeostat.engine.watch import Watch
from homeostat.run import Run
from homeostat.task.task import Task


def case_of(task: Task[Any], device: torch.device, name: str = "task") -> Case:
    """What a task alone lets audits try."""
    batches = task.batches

    def batch(rows: NDArray[np.int64]) -> Any:
        return devices.move(batches.gather(rows), device)

    return Case(
        name=name,
        model=task.model,
        batch=batch,
        count=batches.count,
        loss=task.loss,
        augment=batches.augment if device.type == "cpu" else None,
        resting=tuple(group.prefix for group in task.groups if group.rate == 0),
        select=task.select,
    )


def put_aside(task: Task[Any], settings: Settings) -> Mapping[str, Tensor]:
    """The weights that `fit` would keep as the best ones if the first score were taken now."""
    state = State.fresh(task, settings.optim, 1, ())
    state.offer(0.0, task.direction)
    assert state.best is not None
    return state.best.weights


def at_start(
    task: Task[Any], device: torch.device, addresses: Sequence[str] = (), thorough: bool = False
) -> Exam:
    """Try them, and those of one's own; the model, its modes and all random numbers are left as they were."""
    audits = [audit for audit in (*AUDITS, *own(addresses)) if thorough or audit.is_cheap]
    return examine(case_of(task, device), audits)


def tell(exam: Exam, run: Run, watch: Watch) -> None:
    """Write an exam into the journal, and what was found onto the terminal."""
    run.journal("audits", step=0, tried=exam.tried, findings=len(exam.findings))
    for finding in exam.findings:
        run.journal("finding", step=0, **dataclasses.asdict(finding))
        watch.line(f"{finding.severity}: audit {finding.audit}: {finding.what} {finding.advice}")
