"""The course of a training: pure functions of its settings and its State."""

from __future__ import annotations

from dataclasses import dataclass

from homeostat.engine import remedies, schedule
from homeostat.engine.settings import Settings
from homeostat.engine.state import State


@dataclass(frozen=True)
class Timetable:
    """The step of each evaluation, the rate of each step, and the end."""

    settings: Settings
    per_epoch: int
    direction: str

    def total(self, state: State) -> int:
        """Return the number of steps, extensions included."""
        return remedies.epochs(self.settings.epochs, state.treatments) * self.per_epoch

    def epoch_of(self, step: int) -> int:
        return step // self.per_epoch

    def ends_epoch(self, step: int) -> bool:
        return step % self.per_epoch == 0

    def rate(self, state: State) -> float:
        """Return the learning rate of the next step."""
        config = self.settings.schedule
        drops = 0
        if config.schedule == "plateau":
            drops = schedule.drops(state.scores, self.direction, config.plateau_patience)
        # By progress, not by step: a run that is extended has another total, and its rate follows.
        peak = self.settings.optim.learning_rate * remedies.rate_factor(state.treatments)
        return peak * schedule.factor(config, state.step / self.total(state), drops)

    def scores_at(self, state: State) -> bool:
        """Say whether an evaluation is due: on its turn, and at the end, once each."""
        every = self.settings.evaluate_every or self.per_epoch
        on_turn = state.step % every == 0 or state.step >= self.total(state)
        return on_turn and state.step > state.scored

    def is_stale(self, state: State) -> bool:
        """Say whether the score has not improved for longer than the patience."""
        return 0 < self.settings.patience <= schedule.stale(state.scores, self.direction)

    def is_over(self, state: State) -> bool:
        return (
            state.step >= self.total(state) or self.is_stale(state) or remedies.is_stopped(state.treatments)
        )
