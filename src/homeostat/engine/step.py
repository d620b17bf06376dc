"""One optimiser step. It leaves the State whole: taken, or not begun."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
from torch import Tensor

from homeostat.data.batches import Indices
from homeostat.engine import device as devices
from homeostat.engine import gradient, memory, optim, remedies
from homeostat.engine.event import end_epoch, event
from homeostat.engine.loop import Loop
from homeostat.errors import is_memory
from homeostat.guards.base import Event
from homeostat.ode import SolverError
from homeostat.task import randomness, vitals
from homeostat.task.look import Look

# Rows of the batch, seconds spent waiting for it, what was measured on it, and the norm of its gradient.
_Computed = tuple[Indices, float, gradient.Measured, Tensor]


def step(loop: Loop) -> None:
    """Take a step. A guard that halts is heard before the update where the device allows it."""
    began = time.perf_counter()
    state, timetable = loop.state, loop.timetable
    computed = _gradient(loop)
    if computed is None:
        return
    rows, waited, measured, norm = computed
    rate = timetable.rate(state)
    fields = {
        "step": state.step,
        "epoch": timetable.epoch_of(state.step),
        "learning_rate": rate,
        "rows": rows,
        "seconds": time.perf_counter() - began,
        "waited": waited,
    }
    loop.watch.step(_explained(loop, loop.readout.put(measured, norm, fields)))
    optim.set_rate(state.optimizer, rate)
    # Copies of all weights: at one step of an epoch, and only if somebody looks at them.
    looks = bool(state.guards) and timetable.ends_epoch(state.step + 1)
    before = vitals.copy_of(loop.named) if looks else []
    state.optimizer.step()
    if state.average is not None:
        optim.follow(state.average, state.model, timetable.settings.optim.average)
    state.step += 1
    if timetable.ends_epoch(state.step):
        end_epoch(loop, vitals.look(loop.named, before) if looks else None)


def _gradient(loop: Loop) -> _Computed | None:
    """Compute the gradient of the next batch; None when memory ran out or the first step was left."""
    try:
        # Not with several processes: one that leaves alone lets the others wait in their sums.
        is_first = loop.state.step == loop.first_step and loop.world.size == 1
        return _first_computed(loop) if is_first else _computed(loop)
    except SolverError as error:
        _pass_on_unsolved(loop, error)
        raise
    except (RuntimeError, MemoryError) as error:
        if not is_memory(error):
            raise
    _cut_smaller(loop)  # out here, where the traceback no longer holds on to the tensors
    return None


def _first_computed(loop: Loop) -> _Computed | None:
    """The first step may compile for minutes, so it can be left in the middle: nothing has changed then."""
    buffers = list(loop.task.model.buffers())
    before, computed = [buffer.clone() for buffer in buffers], None
    try:
        computed = loop.interrupt.abortable(lambda: _computed(loop))
    finally:
        if computed is None:  # the forward pass has moved the statistics of BatchNorm
            for buffer, was in zip(buffers, before, strict=True):
                buffer.copy_(was)
    return computed


def _computed(loop: Loop) -> _Computed:
    began, settings = time.perf_counter(), loop.timetable.settings
    rows, pieces = loop.stream.take()
    waited = time.perf_counter() - began
    # By address, so that a resumed step draws the same dropout although no checkpoint holds a generator.
    randomness.reseed(loop.device, settings.seed, "step", loop.state.step)
    wants_stop = bool(loop.interrupt.reason)
    measured = gradient.compute(
        loop.task, pieces, loop.parameters, loop.effects.precision, loop.world, wants_stop
    )
    gradients = [parameter.grad for parameter in loop.parameters if parameter.grad is not None]
    norm = optim.clip(gradients, settings.optim.clip)
    if measured.stops is not None and float(measured.stops) > 0:
        loop.interrupt.agree()
    return rows, waited, measured, norm


def _cut_smaller(loop: Loop) -> None:
    loop.stream.drop()
    state, batches = loop.state, loop.task.batches
    state.pieces = memory.doubled(state.pieces, min(batches.size, batches.count))
    loop.watch.say(
        "memory",
        state.step,
        f"memory ran out: batches are now computed in {state.pieces} pieces; their size and order stay",
    )


def _explained(loop: Loop, heard: Event | None) -> Event | None:
    """Add where a loss or gradient that is no number began, while the weights are still those that made it."""
    if heard is None or loop.readout.is_late or math.isfinite(heard.loss + heard.gradient_norm):
        return heard
    batches, model = loop.task.batches, loop.task.model
    batch = devices.move(batches.batch(np.asarray(heard.rows), heard.epoch), loop.device)
    randomness.reseed(loop.device, loop.timetable.settings.seed, "step", heard.step)
    look = vitals.autopsy(model, loop.named, lambda: loop.task.loss(model, batch))
    return replace(heard, look=look)


def _pass_on_unsolved(loop: Loop, error: SolverError) -> None:
    """A solve that cannot start or go on has no loss: guards hear of it as a loss that is no number."""
    state, batches = loop.state, loop.task.batches
    if loop.world.size > 1:
        return  # the other processes are at their sums
    # The rows of this step, although the stream may be ahead of it.
    rows = remedies.quarantined(batches.indices(state.step), state.treatments, batches.count)
    loop.watch.step(loop.readout.flush())
    look = Look(first_bad=f"a differential equation. {error}".rstrip("."))
    loop.watch.step(event(loop, "step", rows=rows, loss=math.nan, gradient_norm=math.nan, look=look))
