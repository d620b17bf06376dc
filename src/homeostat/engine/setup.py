"""The ground of a fit: a device, a timetable, the newest state. Afterwards, files are the only trace."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

import torch

from homeostat import console, ode
from homeostat.config import to_plain
from homeostat.engine import checkup, distributed, precision
from homeostat.engine import device as devices
from homeostat.engine.distributed import World
from homeostat.engine.effects import Effects
from homeostat.engine.interrupt import Interrupt
from homeostat.engine.loop import Loop
from homeostat.engine.precision import Precision
from homeostat.engine.readout import Readout
from homeostat.engine.saver import Saver
from homeostat.engine.settings import Settings, lasting
from homeostat.engine.state import State
from homeostat.engine.stream import Stream
from homeostat.engine.tensorboard import Events
from homeostat.engine.timetable import Timetable, planned
from homeostat.engine.watch import Watch
from homeostat.errors import Unsolved
from homeostat.guards import own
from homeostat.guards.base import AbstractGuard
from homeostat.run import Run
from homeostat.task import randomness
from homeostat.task.task import Task

B = TypeVar("B")

# Batches on which a plan of mixed precision is compared with fp32. Each is computed twice, at every start and resume.
PROBE_BATCHES = 3


@contextmanager
def opened(task: Task[B], settings: Settings, run: Run, guards: Sequence[AbstractGuard]) -> Iterator[Loop]:
    """Set up the loop and restore its newest state; leave no handler, seed or thread behind."""
    device, why = devices.choose(settings.device)
    world = distributed.join(device)
    # Left in reverse order: the loop first, the run with its status and lock last.
    with ExitStack() as stack:
        run = stack.enter_context(distributed.own_part(run, world))
        stack.enter_context(run.active())
        stack.enter_context(_solver_errors())
        stack.enter_context(randomness.borrowed(device))
        task.model.to(device)
        policy = _precision(task, settings, device, stack)
        watching = (*guards, *own(settings.guard))
        state = State.fresh(task, settings.optim, settings.accumulate, watching, _kept(settings, run))
        saver = Saver(run, settings.saving)
        notes = _restore(saver, state, world)
        stretches = planned(run, settings, state.step) if world.is_first else ()
        stretches = world.from_first(stretches)
        timetable = Timetable(settings, len(task.batches), task.direction, stretches)
        progress = stack.enter_context(
            console.Progress(run.name, timetable.total(state), state.step, shown=world.is_first)
        )
        events = Events(run.tensorboard) if settings.tensorboard and world.is_first else None
        # The last seconds of points are in its queue; before this line nobody closed it and they were lost.
        if events is not None:
            stack.callback(events.close)
        heals = settings.heal and world.size == 1  # several processes explain only
        watch = Watch(run, state, progress, events, settings.journal_every, heals, tuple(task.remedies))
        run.environment(device=str(device), device_reason=why, precision=policy.table(), processes=world.size)
        interrupt = stack.enter_context(Interrupt(is_shared=world.size > 1))
        stack.callback(lambda: _end(run, timetable, state, saver))
        # Not at a resume: laws such as that of the first loss are about the untrained model.
        if settings.audits and saver.is_new and world.is_first:
            checkup.tell(checkup.at_start(task, device, settings.audit), run, watch)
        _begin(run, timetable, state, saver, watch, notes, world)
        loop = Loop(
            task=task,
            timetable=timetable,
            state=state,
            stream=Stream(task.batches, state, world, device),
            readout=Readout(device),
            watch=watch,
            saver=saver,
            interrupt=interrupt,
            effects=Effects(task, state.average, policy),
            world=world,
            device=device,
            first_step=state.step,
        )
        stack.callback(loop.close)
        loop.effects.follow(state.treatments)
        yield loop
        world.wait()  # the last save is on the disk: whoever reads it next may be another process


@contextmanager
def _solver_errors() -> Iterator[None]:
    """The solver library knows nothing of exit codes: turn its error into one of a run."""
    try:
        yield
    except ode.SolverError as error:
        raise Unsolved(str(error)) from error


def _kept(settings: Settings, run: Run) -> dict[str, Any]:
    """Return the settings and the configuration that a State belongs to."""
    config = run.kept(run.config_file).get("config", {})
    return {"settings": lasting(to_plain(settings)), "config": lasting(config)}


def _restore(saver: Saver, state: State, world: World) -> list[str]:
    """The first process restores and sets damaged files aside before the others look."""
    notes = saver.restore(state) if world.is_first else []
    world.wait()
    if not world.is_first:
        saver.restore(state)
    world.wait()
    return notes


def _begin(
    run: Run,
    timetable: Timetable,
    state: State,
    saver: Saver,
    watch: Watch,
    notes: Sequence[str],
    world: World,
) -> None:
    total = timetable.total(state)
    run.progress(step=state.step, total=total)
    for note in notes:
        watch.say("fallback", state.step, note)
    if saver.is_new:
        run.journal("start", step=0, total=total, steps_per_epoch=timetable.per_epoch)
    else:
        run.journal("resume", step=state.step, total=total)
    run.flush()
    if world.is_first and not timetable.is_over(state):
        saver.reserve(state)
        # The first one is on the disk before the journal tells of a step: no checkpoint then means that it was removed.
        saver.save(state, wait=saver.is_new)


def _end(run: Run, timetable: Timetable, state: State, saver: Saver) -> None:
    run.progress(step=state.step)
    saver.close(timetable.is_over(state))


def _precision(task: Task[Any], settings: Settings, device: torch.device, stack: ExitStack) -> Precision:
    """Plan, protect the islands, and probe the plan on the untrained model, which a resume starts from as well."""
    policy = precision.plan(task.model, task.islands, settings.precision, device)
    if not policy.is_mixed:
        return policy
    stack.callback(precision.protect(task.model, task.islands, device))

    def losses(context: AbstractContextManager[Any]) -> list[float]:
        totals = []
        for step in range(min(PROBE_BATCHES, len(task.batches))):
            batch = devices.move(task.batches.batch(task.batches.indices(step), 0), device)
            model = copy.deepcopy(task.model)  # batch statistics of a probe must not stay
            randomness.reseed(device, settings.seed, "step", step)
            with torch.no_grad(), context:
                totals.append(float(task.loss(model, batch).total))
        return totals

    return precision.probe(policy, losses)
