"""What does one turn of `fit` do? A step, an evaluation, a save: each leaves the State whole."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
from torch import Tensor

from homeostat.data.batches import Indices
from homeostat.engine import device as devices
from homeostat.engine import gradient, heal, memory, optim, resources
from homeostat.engine.distributed import World
from homeostat.engine.interrupt import Interrupt
from homeostat.engine.plan import Plan
from homeostat.engine.precision import Precision
from homeostat.engine.readout import Readout
from homeostat.engine.saver import Saver
from homeostat.engine.state import State
from homeostat.engine.stream import Stream
from homeostat.engine.watch import Watch
from homeostat.errors import ConfigError
from homeostat.guards.base import Event, Kind
from homeostat.ode import SolverError
from homeostat.task import randomness, vitals
from homeostat.task.look import Look
from homeostat.task.task import Task

B = TypeVar("B")

# Rows of the batch, seconds spent waiting for it, what was measured on it, and the norm of its gradient.
_Computed = tuple[Indices, float, gradient.Measured, Tensor]


class Loop(Generic[B]):
    """The parts of a running fit. Nothing in here evolves but the State."""

    def __init__(
        self,
        task: Task[B],
        plan: Plan,
        state: State,
        saver: Saver,
        watch: Watch,
        interrupt: Interrupt,
        precision: Precision,
        world: World,
    ) -> None:
        self.task, self.plan, self.state, self.saver = task, plan, state, saver
        self.watch, self._interrupt, self.precision, self._world = watch, interrupt, precision, world
        self.device = precision.device
        self.planned_epochs = plan.settings.epochs
        self._parameters = optim.trainable(state.optimizer)
        self._named = vitals.trainable(task.model, self._parameters)
        self._readout = Readout(self.device)
        self._stream = Stream(task.batches, state, world, self.device)
        self._is_first_step = True
        self._is_sound = True
        self._agreed_stop = ""
        self.healed, self.undo = 0, list[Callable[[], None]]()
        """Remedies of the State that have taken effect in this process, and what takes them back from the model."""

    @property
    def stops(self) -> str:
        """Why the run must stop now, or nothing. Several processes stop at the step on which they agreed."""
        return self._interrupt.reason if self._world.size == 1 else self._agreed_stop

    @property
    def is_late(self) -> bool:
        """Say whether an alarm comes after the update that it is about."""
        return self._readout.is_late

    def rewind(self) -> None:
        """Forget what was under way: the next step is that of the State."""
        self._stream.drop()
        self._readout.forget()
        self.watch.rewind(self.state.step)

    def step(self) -> None:
        """One optimiser step. A guard that halts is heard before the update where the device allows it."""
        began, state = time.perf_counter(), self.state
        computed = self._gradient()
        if computed is None:
            return
        rows, waited, measured, norm = computed
        rate = self.plan.rate(state)
        fields = {
            "step": state.step,
            "epoch": self.plan.epoch_of(state.step),
            "learning_rate": rate,
            "rows": rows,
            "seconds": time.perf_counter() - began,
            "waited": waited,
        }
        self._tell(self._explained(self._readout.put(measured, norm, fields)))
        optim.set_rate(state.optimizer, rate)
        looks = bool(state.guards) and self.plan.ends_epoch(state.step + 1)
        before = vitals.copy_of(self._named) if looks else []
        state.optimizer.step()
        if state.average is not None:
            optim.follow(state.average, state.model, self.plan.settings.optim.average)
        state.step += 1
        self._is_first_step = False
        if self.plan.ends_epoch(state.step):
            self._end_epoch(vitals.look(self._named, before) if looks else None)

    def _explained(self, event: Event | None) -> Event | None:
        """Find out where a loss or gradient that is no number began, while the weights are still those that made it."""
        if event is None or self._readout.is_late or math.isfinite(event.loss + event.gradient_norm):
            return event
        batches, model = self.task.batches, self.task.model
        batch = devices.move(batches.batch(np.asarray(event.rows), event.epoch), self.device)
        randomness.reseed(self.device, self.plan.settings.seed, "step", event.step)
        return replace(event, look=vitals.autopsy(model, self._named, lambda: self.task.loss(model, batch)))

    def _gradient(self) -> _Computed | None:
        """Compute the gradient of the next batch; None when memory ran out or the first step was left."""
        try:
            is_first = self._is_first_step and self._world.size == 1
            return self._first_computed() if is_first else self._computed()
        except SolverError as error:
            self._tell_unsolved(error)
            raise
        except (RuntimeError, MemoryError) as error:
            if not memory.is_exhausted(error):
                raise
        self._cut_smaller()  # out here, where the traceback no longer holds on to the tensors
        return None

    def _tell_unsolved(self, error: SolverError) -> None:
        """A solve that cannot start or go on has no loss: guards hear of it as a loss that is no number."""
        state, batches = self.state, self.task.batches
        if self._world.size > 1:
            return  # the other processes are at their sums
        rows = heal.quarantined(batches.indices(state.step), state.remedies, batches.count)
        self._tell(self._readout.flush())
        look = Look(first_bad=f"a differential equation. {error}".rstrip("."))
        self.watch.step(self._event("step", rows=rows, loss=math.nan, gradient_norm=math.nan, look=look))

    def _first_computed(self) -> _Computed | None:
        """The first step may compile for minutes, so it can be left in the middle: nothing has changed then."""
        buffers = list(self.task.model.buffers())
        before, computed = [buffer.clone() for buffer in buffers], None
        try:
            computed = self._interrupt.abortable(self._computed)
        finally:
            if computed is None:  # the forward pass has moved the statistics of BatchNorm
                for buffer, was in zip(buffers, before, strict=True):
                    buffer.copy_(was)
        return computed

    def _computed(self) -> _Computed:
        began = time.perf_counter()
        rows, pieces = self._stream.take()
        waited = time.perf_counter() - began
        randomness.reseed(self.device, self.plan.settings.seed, "step", self.state.step)
        wants_stop = bool(self._interrupt.reason)
        measured = gradient.compute(
            self.task, pieces, self._parameters, self.precision, self._world, wants_stop
        )
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        norm = optim.clip(gradients, self.plan.settings.optim.clip)
        if measured.stops is not None and float(measured.stops) > 0:
            self._agreed_stop = self._interrupt.reason or "another process was asked to stop"
        return rows, waited, measured, norm

    def _cut_smaller(self) -> None:
        self._stream.drop()
        self.state.pieces = memory.doubled(
            self.state.pieces, min(self.task.batches.size, self.task.batches.count)
        )
        self.watch.say(
            "memory",
            self.state.step,
            f"memory ran out: batches are now computed in {self.state.pieces} pieces; their size and order stay",
        )

    def evaluate(self) -> None:
        """Score the model and keep it if it is the best. Left at once, unscored, when a request to stop comes."""
        state, began = self.state, time.perf_counter()
        self._tell(self._readout.flush())
        models = [state.model] if state.average is None else [state.model, state.average]
        for model in models:
            self._world.share_statistics(model)
        before = [vitals.state_of(model) for model in models] if state.guards else []
        # Out here, where a signal cannot leave them half undone.
        with vitals.at_rest(state.scored_model), self.precision.forward():
            if self._world.size == 1:
                scores = self._interrupt.abortable(self._scores)
            else:
                scores = self._world.from_first(self._scores())
        if scores is None:
            return
        if self.task.select not in scores:
            raise ConfigError(
                f"The task selects {self.task.select!r}, but its scores are {', '.join(scores)}."
            )
        is_best = state.offer(scores[self.task.select], self.plan.direction)
        strayed = [n for model, was in zip(models, before, strict=False) for n in vitals.strayed(model, was)]
        look = Look(strayed=strayed) if strayed else None
        event = self._event("score", scores=scores, look=look, seconds=time.perf_counter() - began)
        self.watch.scores(event, self.task.select, is_best)
        if self.plan.settings.heal and self._world.is_first:
            heal.keep_good(self)

    def _scores(self) -> Mapping[str, float]:
        randomness.reseed(self.device, self.plan.settings.seed, "score", self.state.step)
        return {name: float(value) for name, value in self.task.score(self.state.scored_model).items()}

    def save(self, wait: bool = False) -> None:
        """Save the State; on several processes the first one does it for all."""
        self._tell(self._readout.flush())
        if self._world.is_first:
            self.saver.save(self.state, wait)

    def save_if_sound(self) -> None:
        """Save after a halt, unless its cause has already reached the weights."""
        if self._is_sound:
            self.save(wait=True)

    def _tell(self, event: Event | None) -> None:
        """Pass a step on. An alarm that comes one step late comes after the update that it should have prevented."""
        self._is_sound = not self._readout.is_late
        self.watch.step(event)
        self._is_sound = True

    def begin(self) -> None:
        """Tell the guards the plan, in every process that takes part in the run."""
        settings = self.plan.settings
        if settings.heal and self._world.size == 1:
            self.watch.heals = tuple(self.task.remedies)
            if self.state.step == 0:
                heal.keep_good(self)
        numbers = {
            "steps": self.plan.total,
            "steps_per_epoch": self.plan.per_epoch,
            "clip": settings.optim.clip,
        }
        self.watch.tell_guards(
            self._event("start", numbers={name: float(value) for name, value in numbers.items()})
        )

    def end(self) -> None:
        """Tell the guards that the last step is done; what they say now stops nothing any more."""
        self.watch.tell_guards(self._event("end"))

    def _event(self, kind: Kind, **told: Any) -> Event:
        state, select = self.state, self.task.select
        epoch = self.plan.epoch_of(max(state.step - 1, 0))  # that of the last step
        return Event(
            kind=kind, step=state.step, epoch=epoch, select=select, direction=self.task.direction, **told
        )

    def _end_epoch(self, look: Look | None) -> None:
        self._tell(self._readout.flush())
        means = self.state.epoch.take()
        numbers = resources.measure(self.device, self.saver.folder)
        if (eta := self.watch.eta_s(self.state.step)) is not None:
            numbers["eta_seconds"] = eta
        numbers["checkpoint_bytes"] = float(self.saver.size_of(self.state))
        event = self._event(
            "epoch",
            look=look,
            loss=means.get("train/loss", 0.0),
            gradient_norm=means.get("gradient_norm", 0.0),
            terms={
                name.removeprefix("train/"): value
                for name, value in means.items()
                if name.startswith("train/")
            },
            numbers={
                **numbers,
                **{name: value for name, value in means.items() if not name.startswith("train/")},
            },
        )
        self.watch.epoch(event, means)

    def close(self) -> None:
        """End the thread that gathers ahead, and leave the model as it was."""
        self._stream.drop()
        for undo in reversed(self.undo):
            undo()
