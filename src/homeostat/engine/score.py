"""One evaluation: the model is scored, kept if it is the best, and looked at for what an evaluation must not change."""

from __future__ import annotations

import time
from collections.abc import Mapping

from homeostat.engine.event import event
from homeostat.engine.loop import Loop
from homeostat.errors import ConfigError
from homeostat.task import randomness, vitals
from homeostat.task.look import Look


def score(loop: Loop) -> None:
    """Score the model and keep it if it is the best. Left at once, unscored, when a request to stop comes."""
    state, task, began = loop.state, loop.task, time.perf_counter()
    loop.watch.step(loop.readout.flush())
    models = [state.model] if state.average is None else [state.model, state.average]
    for model in models:
        loop.world.share_statistics(model)
    # A copy of the model, which only a guard looks at.
    before = [vitals.state_of(model) for model in models] if state.guards else []
    # Out here, where a signal cannot leave them half undone.
    with vitals.at_rest(state.scored_model), loop.effects.precision.forward():
        if loop.world.size == 1:
            scores = loop.interrupt.abortable(lambda: _scores(loop))
        else:
            scores = loop.world.from_first(_scores(loop))
    if scores is None:
        return
    if task.select not in scores:
        raise ConfigError(f"The task selects {task.select!r}, but its scores are {', '.join(scores)}.")
    is_best = state.offer(scores[task.select], loop.timetable.direction)
    strayed = [n for model, was in zip(models, before, strict=False) for n in vitals.strayed(model, was)]
    look = Look(strayed=strayed) if strayed else None
    scored = event(loop, "score", scores=scores, look=look, seconds=time.perf_counter() - began)
    loop.watch.scores(scored, task.select, is_best)
    if loop.watch.heals:
        loop.saver.keep_good(state)  # no guard has raised: nothing was wrong


def _scores(loop: Loop) -> Mapping[str, float]:
    # Scores that draw, such as those of sampled outputs, are the same after a resume.
    randomness.reseed(loop.device, loop.timetable.settings.seed, "score", loop.state.step)
    return {name: float(value) for name, value in loop.task.score(loop.state.scored_model).items()}
