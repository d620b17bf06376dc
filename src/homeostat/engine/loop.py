"""The parts of a running fit, and what any of them may ask of the whole: to save, to begin anew from the State."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from homeostat.engine import optim
from homeostat.engine.distributed import World
from homeostat.engine.effects import Effects
from homeostat.engine.interrupt import Interrupt
from homeostat.engine.readout import Readout
from homeostat.engine.saver import Saver
from homeostat.engine.state import State
from homeostat.engine.stream import Stream
from homeostat.engine.timetable import Timetable
from homeostat.engine.watch import Watch
from homeostat.task import vitals
from homeostat.task.task import Task


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The parts of a running fit; no field is ever assigned again.

    What a resumed run must know evolves in `state` and nowhere else. The other parts hold what belongs to this process
    alone: gathered batches (`stream`), numbers on their way from the device (`readout`), the clock and the terminal
    (`watch`), the last save (`saver`), requests to stop (`interrupt`), changes of the live model (`effects`).
    """

    task: Task[Any]
    timetable: Timetable
    state: State
    stream: Stream[Any]
    readout: Readout
    watch: Watch
    saver: Saver
    interrupt: Interrupt
    effects: Effects
    world: World
    device: torch.device
    first_step: int
    """Step from which this process goes on; it may compile for minutes."""

    @cached_property
    def parameters(self) -> Sequence[Tensor]:
        """The parameters that the optimiser moves."""
        return optim.trainable(self.state.optimizer)

    @cached_property
    def named(self) -> vitals.Named:
        """The same with their names."""
        return vitals.trainable(self.task.model, self.parameters)

    @property
    def is_sound(self) -> bool:
        """Say whether the weights are still free of the step that a guard has just halted."""
        event = self.watch.heard
        return event is None or event.kind != "step" or event.step >= self.state.step

    def save(self, wait: bool = False) -> None:
        """Save the State; on several processes the first one does it for all."""
        self.watch.step(self.readout.flush())
        if self.world.is_first:
            self.saver.save(self.state, wait)

    def rewind(self) -> None:
        """Forget what was under way: the next step is that of the State."""
        self.stream.drop()
        self.readout.forget()
        self.watch.rewind(self.state.step, self.timetable.total(self.state))

    def close(self) -> None:
        """End the thread that gathers ahead, and leave the model as it was."""
        self.stream.drop()
        self.effects.undo()
