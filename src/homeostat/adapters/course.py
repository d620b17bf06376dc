"""Turn the course of a foreign training into events; all adapters share this part."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from homeostat.errors import Halted
from homeostat.guards.base import AbstractGuard, Alarm, Event
from homeostat.task import vitals
from homeostat.task.look import Look

_LOG = logging.getLogger("homeostat")


@dataclass
class Course:
    """Tells guards every event, keeps their alarms, and raises Halted when one of them halts."""

    guards: Sequence[AbstractGuard]
    select: str = ""
    direction: Literal["max", "min"] = "min"
    halts: bool = True
    """With True an alarm of level halt ends the training."""
    alarms: list[Alarm] = field(default_factory=list)
    step: int = 0
    epoch: int = 0
    _losses: list[float] = field(default_factory=list)
    _began: float = field(default_factory=time.perf_counter)
    _before: list[torch.Tensor] | None = None
    _look: Look | None = None

    def start(self, steps: float, per_epoch: float, clip: float) -> None:
        """Tell the planned steps and the clip."""
        plan = {"steps": steps, "steps_per_epoch": per_epoch, "clip": clip}
        self.tell(self._event("start", numbers=plan))
        self._began = time.perf_counter()

    def stepped(self, loss: float, norm: float, rate: float) -> None:
        """Tell one step; called before the optimiser acts where the trainer allows it."""
        now = time.perf_counter()
        seconds, self._began = now - self._began, now
        if math.isfinite(loss):
            self._losses.append(loss)
        self.tell(
            self._event(
                "step",
                loss=loss,
                gradient_norm=norm,
                learning_rate=rate,
                terms={"loss": loss},
                seconds=seconds,
            )
        )
        self.step += 1

    def remember(self, model: nn.Module) -> None:
        """Copy the weights before a step at which a look is due."""
        self._before = vitals.copy_of(vitals.trainable(model))

    def moved(self, model: nn.Module) -> None:
        """Measure the step since `remember`, while its gradients are still there."""
        if self._before is not None:
            self._look = vitals.look(vitals.trainable(model), self._before)
            self._before = None

    def epoch_ended(self) -> None:
        """Tell the mean loss of an epoch, and how far its last step moved the weights."""
        look, self._look = self._look, None
        mean = sum(self._losses) / len(self._losses) if self._losses else math.nan
        self._losses = []
        self.tell(self._event("epoch", loss=mean, look=look))
        self.epoch += 1

    def scored(self, scores: Mapping[str, float]) -> None:
        """Tell an evaluation."""
        if self.select in scores:
            self.tell(self._event("score", scores=scores))

    def end(self) -> None:
        """Tell that the last step is done."""
        self.tell(self._event("end"))

    def tell(self, event: Event) -> None:
        """Ask every guard; warnings go to the log `homeostat`."""
        heard = [alarm for guard in self.guards if (alarm := guard.watch(event)) is not None]
        for alarm in heard:
            self.alarms.append(alarm)
            advice = "" if alarm.remedy is None else f" Remedy: {alarm.remedy}."
            _LOG.warning("%s: guard %s: %s%s", alarm.level, alarm.guard, alarm.sentence, advice)
        halt = next((alarm for alarm in heard if alarm.level == "halt"), None)
        if halt is not None and self.halts:
            raise Halted(f"Guard {halt.guard}: {halt.sentence}")

    def state_dict(self) -> dict[str, object]:
        """Return the state that a checkpoint of the foreign trainer has to keep."""
        guards = {guard.name: guard.state_dict() for guard in self.guards}
        return {"step": self.step, "epoch": self.epoch, "losses": list(self._losses), "guards": guards}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from such a checkpoint."""
        self.step, self.epoch = int(str(state["step"])), int(str(state["epoch"]))
        losses, guards = state["losses"], state["guards"]
        assert isinstance(losses, list)
        assert isinstance(guards, Mapping)
        self._losses = list(losses)
        for guard in self.guards:
            if guard.name in guards:
                guard.load_state_dict(guards[guard.name])

    def _event(self, kind: Literal["start", "step", "score", "epoch", "end"], **fields: object) -> Event:
        return Event(
            kind=kind,
            step=self.step,
            epoch=self.epoch,
            select=self.select,
            direction=self.direction,
            **fields,  # type: ignore[arg-type]  # fields of Event by name
        )


def gradient_norm(model: nn.Module) -> float:
    """Return the norm of all gradients together."""
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    return float(nn.utils.get_total_norm(gradients)) if gradients else 0.0
