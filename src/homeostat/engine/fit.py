"""How is a task trained? The whole loop, on one screen; what it calls is named after what it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from homeostat.engine.heal import remedied
from homeostat.engine.settings import Settings
from homeostat.engine.setup import opened
from homeostat.engine.state import State
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
        state = loop.state
        if loop.plan.is_over(state) and not loop.plan.scores_at(state):
            return state
        try:
            loop.begin()
            while True:
                with remedied(loop):
                    if loop.plan.scores_at(state):
                        loop.evaluate()
                    if loop.stops:
                        loop.save(wait=True)
                        raise Interrupted(
                            f"Run {run.name} stopped at step {state.step} because {loop.stops}."
                        )
                    if loop.plan.is_over(state):
                        loop.end()
                        break
                    if loop.saver.is_due(state):
                        loop.save()
                    loop.step()
        except Halted:
            loop.save_if_sound()
            raise
        loop.save(wait=True)
    return state
