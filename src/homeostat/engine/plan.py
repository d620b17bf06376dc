"""What happens at which step? Pure functions of the step, the settings and the scores so far."""

from __future__ import annotations

from dataclasses import dataclass

from homeostat.engine import heal, schedule
from homeostat.engine.settings import Settings
from homeostat.engine.state import State


@dataclass(frozen=True)
class Plan:
    """The course of a training."""

    settings: Settings
    per_epoch: int
    direction: str

    @property
    def total(self) -> int:
        return self.settings.epochs * self.per_epoch

    def epoch_of(self, step: int) -> int:
        return step // self.per_epoch

    def ends_epoch(self, step: int) -> bool:
        return step % self.per_epoch == 0

    def rate(self, state: State) -> float:
        """The learning rate of the next step."""
        config = self.settings.schedule
        drops = 0
        if config.schedule == "plateau":
            drops = schedule.drops(state.scores, self.direction, config.plateau_patience)
        peak = self.settings.optim.learning_rate * heal.rate_factor(state.remedies)
        return peak * schedule.factor(config, state.step / self.total, drops)

    def scores_at(self, state: State) -> bool:
        """Say whether an evaluation is due: on its turn, and at the end, once each."""
        every = self.settings.evaluate_every or self.per_epoch
        on_turn = state.step % every == 0 or state.step >= self.total
        return on_turn and state.step > state.scored

    def is_stale(self, state: State) -> bool:
        """Say whether the score has not improved for longer than the patience."""
        return 0 < self.settings.patience <= schedule.stale(state.scores, self.direction)

    def is_over(self, state: State) -> bool:
        return state.step >= self.total or self.is_stale(state) or heal.is_stopped(state.remedies)
