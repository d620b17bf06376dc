"""Run guards in Hugging Face's Trainer: Trainer(..., callbacks=[GuardCallback("eval_loss")])."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from homeostat.adapters.course import Course, gradient_norm
from homeostat.guards import every
from homeostat.guards.base import AbstractGuard, Alarm


class GuardCallback(TrainerCallback):
    """Tells guards every optimiser step, epoch and evaluation.

    The Trainer shows no loss between two logs and hides one that is NaN or infinite: set `logging_steps=1` and
    `logging_nan_inf_filter=False` for guards that judge the loss. A halting guard sets `should_training_stop`.
    """

    def __init__(
        self,
        select: str = "eval_loss",
        direction: Literal["max", "min"] = "min",
        guards: Sequence[AbstractGuard] | None = None,
        halts: bool = True,
    ) -> None:
        chosen = every() if guards is None else guards
        self._course = Course(chosen, select=select, direction=direction, halts=False)
        self._halts = halts
        self._norm = math.nan

    @property
    def alarms(self) -> list[Alarm]:
        """Return all alarms so far."""
        return self._course.alarms

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        per_epoch = state.max_steps / max(float(state.num_train_epochs or 1), 1.0)
        self._course.step = state.global_step
        self._course.start(float(state.max_steps), per_epoch, float(args.max_grad_norm or 0.0))

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        model: torch.nn.Module = kwargs["model"]
        self._norm = gradient_norm(model)
        if (state.global_step + 1) % max(_per_epoch(state), 1) == 0:
            self._course.remember(model)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # Called between the optimiser's step and zero_grad, while the gradients are still there.
        self._course.moved(kwargs["model"])

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        # The Trainer clips before on_pre_optimizer_step, but logs the norm before its clip.
        norm = float(logs.get("grad_norm", self._norm))
        self._course.step = state.global_step - 1
        self._course.stepped(float(logs["loss"]), norm, float(logs.get("learning_rate", 0.0)))
        self._stop_if_halted(control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._course.epoch_ended()
        self._stop_if_halted(control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self._course.scored({name: float(value) for name, value in (metrics or {}).items()})
        self._stop_if_halted(control)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._course.end()

    def _stop_if_halted(self, control: TrainerControl) -> None:
        if self._halts and any(alarm.level == "halt" for alarm in self._course.alarms):
            control.should_training_stop = True


def _per_epoch(state: TrainerState) -> int:
    return round(state.max_steps / max(float(state.num_train_epochs or 1), 1.0))
