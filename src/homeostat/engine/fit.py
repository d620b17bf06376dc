"""The training of a task: the whole loop on one screen. What it calls is named after what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from homeostat.engine.event import end, extend, start
from homeostat.engine.heal import treat
from homeostat.engine.remedies import Sick
from homeostat.engine.score import score
from homeostat.engine.settings import Settings
from homeostat.engine.setup import opened
from homeostat.engine.state import State
from homeostat.engine.step import step
from homeostat.errors import Halted, Interrupted
from homeostat.guards.base import AbstractGuard
from homeostat.run import Run
from homeostat.task.task import Task

B = TypeVar("B")


def fit(task: Task[B], settings: Settings, run: Run, guards: Sequence[AbstractGuard] = ()) -> State:
    """Train a task to the end of its settings, from wherever the run was left, and return the final State.

    The same State, bit for bit, however often the run was killed or interrupted on the way. Raises Interrupted or
    OutOfResources when it can be resumed, and Halted when a guard stopped it; the state is on the disk then.
    """
    with opened(task, settings, run, guards) as loop:
        state, timetable = loop.state, loop.timetable
        if timetable.is_over(state) and not timetable.scores_at(state):
            return state
        try:
            start(loop)
            while True:
                try:
                    # Before the step: a run that was stopped at a due evaluation takes it after the resume, from the
                    # same weights.
                    if timetable.scores_at(state):
                        score(loop)
                        if timetable.goes_on_at(state):
                            extend(loop)
                    if stops := loop.interrupt.stops:
                        loop.save(wait=True)
                        raise Interrupted(f"Run {run.name} stopped at step {state.step} because {stops}.")
                    if timetable.is_over(state):
                        end(loop)
                        break
                    if loop.saver.is_due(state):
                        loop.save()
                    step(loop)
                except Sick as sick:  # an alarm whose remedy --heal allows; the next turn goes on from there
                    treat(loop, sick)
        except Halted:
            # On a device an alarm comes one step late. Its step is then in the weights, and the checkpoint before is
            # the sound one.
            if loop.is_sound:
                loop.save(wait=True)
            raise
        loop.save(wait=True)
    return state
