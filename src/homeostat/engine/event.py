"""Events of a fit for guards, journal and terminal: its plan, the end of an epoch, its end."""

from __future__ import annotations

from typing import Any

from homeostat.engine import resources
from homeostat.engine.loop import Loop
from homeostat.guards.base import Event, Kind
from homeostat.task.look import Look


def event(loop: Loop, kind: Kind, **measured: Any) -> Event:
    """Return an event of now; its epoch is that of the last step."""
    state, task = loop.state, loop.task
    return Event(
        kind=kind,
        step=state.step,
        epoch=loop.timetable.epoch_of(max(state.step - 1, 0)),
        select=task.select,
        direction=task.direction,
        **measured,
    )


def start(loop: Loop) -> None:
    """Pass on the plan, in every process that takes part in the run; under --heal, keep where it began."""
    timetable, state = loop.timetable, loop.state
    # An illness before the first evaluation needs a good state to go back to.
    if loop.watch.heals and state.step == 0:
        loop.saver.keep_good(state)
    numbers = {
        "steps": timetable.total(state),
        "steps_per_epoch": timetable.per_epoch,
        "clip": timetable.settings.optim.clip,
    }
    loop.watch.tell_guards(
        event(loop, "start", numbers={name: float(value) for name, value in numbers.items()})
    )


def end(loop: Loop) -> None:
    """Pass on that the last step is done."""
    loop.watch.tell_guards(event(loop, "end"))


def extend(loop: Loop) -> None:
    """Pass on the end of one plan and the start of the next, as two processes did the first time."""
    end(loop)
    loop.watch.rewind(loop.state.step, loop.timetable.total(loop.state))
    start(loop)


def end_epoch(loop: Loop, look: Look | None) -> None:
    """Pass on the means of an epoch, what its last step moved, and what the machine has left."""
    loop.watch.step(loop.readout.flush())
    state = loop.state
    means = state.epoch.take()
    numbers = resources.measure(loop.device, loop.saver.folder)
    if (eta := loop.watch.eta_s(state.step)) is not None:
        numbers["eta_seconds"] = eta
    numbers["checkpoint_bytes"] = float(loop.saver.size_of(state))
    terms = {name.removeprefix("train/"): value for name, value in means.items() if name.startswith("train/")}
    numbers |= {name: value for name, value in means.items() if not name.startswith("train/")}
    loss, norm = means.get("train/loss", 0.0), means.get("gradient_norm", 0.0)
    ended = event(loop, "epoch", look=look, loss=loss, gradient_norm=norm, terms=terms, numbers=numbers)
    loop.watch.epoch(ended, means)
