"""Run guards in Lightning's Trainer: Trainer(callbacks=[GuardCallback("valid/auroc", "max")])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import lightning
import torch

from homeostat.adapters.course import Course, gradient_norm
from homeostat.guards import every
from homeostat.guards.base import AbstractGuard, Alarm


class GuardCallback(lightning.Callback):
    """Tells guards every optimiser step, epoch and validation. Their state is saved with Lightning's checkpoints.

    Raises homeostat.errors.Halted before the step that a guard halts; `halts=False` only logs. Reading the loss stops
    a GPU at every step, which Lightning itself does when it logs to the progress bar.
    """

    def __init__(
        self,
        select: str = "",
        direction: Literal["max", "min"] = "min",
        guards: Sequence[AbstractGuard] | None = None,
        halts: bool = True,
    ) -> None:
        chosen = every() if guards is None else guards
        self._course = Course(chosen, select=select, direction=direction, halts=halts)
        self._loss = float("nan")

    @property
    def alarms(self) -> list[Alarm]:
        """Return all alarms so far."""
        return self._course.alarms

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        per_epoch = float(trainer.num_training_batches) / max(trainer.accumulate_grad_batches, 1)
        clip = float(trainer.gradient_clip_val or 0.0)
        self._course.start(float(trainer.estimated_stepping_batches), per_epoch, clip)

    def on_before_backward(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, loss: torch.Tensor
    ) -> None:
        # Lightning divides the loss of a micro-batch by their number.
        self._loss = float(loss.detach()) * max(trainer.accumulate_grad_batches, 1)

    def on_before_optimizer_step(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self._course.stepped(self._loss, gradient_norm(pl_module), float(optimizer.param_groups[0]["lr"]))
        if trainer.is_last_batch:
            self._course.remember(pl_module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        # Lightning clears gradients just before the next backward pass, so those of the last step are still there.
        self._course.moved(pl_module)
        self._course.epoch_ended()

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not trainer.sanity_checking:
            self._course.scored({name: float(value) for name, value in trainer.callback_metrics.items()})

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._course.end()

    def state_dict(self) -> dict[str, Any]:
        return self._course.state_dict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self._course.load_state_dict(state_dict)
