"""The checkup before the first step: cheap audits, tried on the task itself. Findings go into the journal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from homeostat.audits import AUDITS, own
from homeostat.audits.augmentation import Augmentation
from homeostat.audits.best_alias import Best
from homeostat.audits.case import Absent, Case, Given
from homeostat.audits.exam import Exam, examine
from homeostat.audits.given import Configuration, Folder, Splitting, Trial
from homeostat.audits.selection import Selection
from homeostat.config import to_plain
from homeostat.data.splits import Splits
from homeostat.engine import device as devices
from homeostat.engine.settings import Settings
from homeostat.engine.state import State
from homeostat.engine.watch import Watch
from homeostat.run import Run
from homeostat.task.task import Task


def case_of(task: Task[Any], device: torch.device, name: str = "task") -> Case:
    """Return the case that a task alone makes."""
    batches = task.batches

    def batch(rows: NDArray[np.int64]) -> Any:
        return devices.move(batches.gather(rows), device)

    trial = Trial(
        model=task.model,
        batch=batch,
        count=batches.count,
        loss=task.loss,
        resting=tuple(group.prefix for group in task.groups if group.rate == 0),
    )
    # Batches are augmented before they are moved; those of `trial` are on the device already.
    augmentation = augmentation_of(task) if device.type == "cpu" else ()
    return Case(name, (trial, Selection(task.select), *augmentation))


def case_of_recipe(
    name: str,
    task: Task[Any],
    predict: Callable[[nn.Module, Any], Tensor],
    *,
    config: Any,
    run: Run,
    splits: Splits,
    subjects: Mapping[str, str],
    values: Sequence[Given | Absent],
) -> Case:
    """Return the case of a recipe: what every untrained task, split and run gives, and the values it adds."""
    batches = task.batches
    trial = Trial(
        model=task.model, batch=batches.gather, count=batches.count, loss=task.loss, predict=predict
    )
    given: tuple[Given, ...] = (
        trial,
        *augmentation_of(task),
        Splitting(splits=splits, subjects=subjects),
        Configuration(to_plain(config)),
        Selection(task.select),
        put_aside(task, config.fit),
        Folder(run),
    )
    return Case(name, (*given, *values))


def augmentation_of(task: Task[Any]) -> tuple[Augmentation, ...]:
    """Return the augmentation of a task, if it has one."""
    return () if task.batches.augment is None else (Augmentation(task.batches.augment),)


def put_aside(task: Task[Any], settings: Settings) -> Best:
    """Return the weights that `fit` would keep as the best ones if the first score were taken now."""
    # Through the State, so that the audit tries the code that fit itself uses.
    state = State.fresh(task, settings.optim, 1, ())
    state.offer(0.0, task.direction)
    assert state.best is not None
    return Best(state.best.weights)


def at_start(
    task: Task[Any], device: torch.device, addresses: Sequence[str] = (), thorough: bool = False
) -> Exam:
    """Try the laws, and those of one's own; model, modes and all random numbers are left as they were."""
    audits = [audit for audit in (*AUDITS, *own(addresses)) if thorough or audit.is_cheap]
    return examine(case_of(task, device), audits)


def tell(exam: Exam, run: Run, watch: Watch) -> None:
    """Write an exam into the journal, and its findings onto the terminal."""
    run.journal("audits", step=0, tried=exam.tried, findings=len(exam.findings))
    for finding in exam.findings:
        run.journal("finding", step=0, **dataclasses.asdict(finding))
        watch.line(f"{finding.severity}: audit {finding.audit}: {finding.what} {finding.advice}")
