"""The course of a training: pure functions of its settings, its extensions and its State."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homeostat.engine import remedies, schedule
from homeostat.engine.settings import Settings
from homeostat.engine.state import State
from homeostat.errors import RunError
from homeostat.run import Run, sealed


@dataclass(frozen=True)
class Stretch:
    """The plan from one step on: a run that is extended has another."""

    step: int
    epochs: int
    evaluate_every: int


@dataclass(frozen=True)
class Timetable:
    """The step of each evaluation, the rate of each step, and the end."""

    settings: Settings
    per_epoch: int
    direction: str
    stretches: Sequence[Stretch] = ()
    """The plan of each stretch, in order. A run that falls back behind an extension follows the plan of then."""

    def at(self, step: int) -> Stretch:
        """Return the plan that holds when so many steps are taken."""
        whole = Stretch(0, self.settings.epochs, self.settings.evaluate_every)
        return next((each for each in reversed(self.stretches) if each.step <= step), whole)

    def total(self, state: State) -> int:
        """Return the number of steps, extensions included."""
        return self._total(self.at(state.step), state)

    def _total(self, stretch: Stretch, state: State) -> int:
        return remedies.epochs(stretch.epochs, state.treatments) * self.per_epoch

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
        # At the step of an extension it is that of the plan before: it was taken, or cut off, under that one.
        stretch = self.at(max(state.step - 1, 0))
        every = stretch.evaluate_every or self.per_epoch
        on_turn = state.step % every == 0 or state.step >= self._total(stretch, state)
        return on_turn and state.step > state.scored

    def goes_on_at(self, state: State) -> bool:
        """Say whether an extension begins here, where the plan before it ended."""
        begins = any(each.step == state.step > 0 for each in self.stretches)
        return begins and state.step >= self._total(self.at(state.step - 1), state)

    def is_stale(self, state: State) -> bool:
        """Say whether the score has not improved for longer than the patience."""
        return 0 < self.settings.patience <= schedule.stale(state.scores, self.direction)

    def is_over(self, state: State) -> bool:
        return (
            state.step >= self.total(state) or self.is_stale(state) or remedies.is_stopped(state.treatments)
        )


def planned(run: Run, settings: Settings, step: int) -> tuple[Stretch, ...]:
    """Return the plan of a run that goes on at a step, and keep it in the run where it is new there."""
    try:
        known = tuple(Stretch(*map(int, each)) for each in run.kept(run.plan_file).get("epochs", ()))
    except (TypeError, ValueError) as error:
        raise RunError(f"{run.plan_file} is no plan ({error}). Restore it, or start a new run.") from error
    if known and (known[-1].epochs, known[-1].evaluate_every) == (settings.epochs, settings.evaluate_every):
        return known
    before = tuple(each for each in known if each.step < step)
    stretches = (*before, Stretch(step, settings.epochs, settings.evaluate_every))
    lines = [[each.step, each.epochs, each.evaluate_every] for each in stretches]
    sealed.write_json(run.plan_file, {"epochs": lines})
    return stretches
