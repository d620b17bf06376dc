"""Treatments that change the live model or the task: in effect once in a process, again after a resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from homeostat.engine import precision
from homeostat.engine.precision import Precision
from homeostat.engine.remedies import BY_TASK, Treatment
from homeostat.task.task import Task


class Effects:
    """Brings a process in line with the treatments of its State, and takes back what it did to the model."""

    def __init__(self, task: Task[Any], average: nn.Module | None, planned: Precision) -> None:
        self.precision = planned
        """The plan that is in effect now."""
        self._task = task
        self._models = [model for model in (task.model, average) if model is not None]
        self._done = 0
        self._undo: list[Callable[[], None]] = []

    def follow(self, treatments: Sequence[Treatment]) -> None:
        """Let the treatments take effect that have not yet."""
        for treatment in treatments[self._done :]:
            if treatment.action == "precision":
                self._raise_to_fp32(treatment.region)
            if treatment.action in BY_TASK:
                self._task.remedies[treatment.action](treatment.factor)
        # Each takes effect once in a process: a second remedy once applied the first again, and tolerances were a
        # hundredfold.
        self._done = len(treatments)

    def undo(self) -> None:
        """Leave the model as it was."""
        for undo in reversed(self._undo):
            undo()

    def _raise_to_fp32(self, region: str) -> None:
        if not region:
            self.precision = replace(self.precision, regions=())
            return
        for model in self._models:
            # A region that the plan protects has a forward of its own already, and whoever protected it takes it back.
            is_protected = "forward" in vars(model.get_submodule(region))
            if not is_protected:
                self._undo.append(precision.protect(model, (region,), self.precision.device))
