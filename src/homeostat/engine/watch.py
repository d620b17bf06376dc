"""Events go to the guards, the journal, and the person at the terminal, in this order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from homeostat import console
from homeostat.engine.remedies import Sick, Treatment, curable
from homeostat.engine.state import State
from homeostat.engine.tensorboard import Events
from homeostat.errors import Halted
from homeostat.guards.base import AbstractGuard, Alarm, Event
from homeostat.run import Run


class Watch:
    """Passes events on. Means over steps live in the State, so that a resumed run reports the same ones."""

    def __init__(
        self,
        run: Run,
        state: State,
        progress: console.Progress,
        events: Events | None,
        every: int,
        heals: bool,
        known: Sequence[str],
    ) -> None:
        self.heals, self._known = heals, known
        """Whether alarms are treated, and what the task itself can do; otherwise guards explain only."""
        self.heard: Event | None = None
        """The event that guards are hearing, or at which one of them stopped the run."""
        self._run, self._state, self._progress = run, state, progress
        self._every, self._events = every, events
        # Time is not part of the State: it would differ between two runs that do the same.
        self._noted = (time.perf_counter(), state.step)

    @property
    def _guards(self) -> Sequence[AbstractGuard]:
        return self._state.guards

    def step(self, event: Event | None) -> None:
        """Take note of one step; a guard's halt is raised from here."""
        if event is None:
            return
        values = {"train/loss": event.loss, "gradient_norm": event.gradient_norm}
        values |= {f"train/{name}": value for name, value in event.terms.items()}
        values |= event.numbers
        # Before the sums: a step at which a guard halts or is treated is taken again, and would count twice.
        self.tell_guards(event)
        self._state.recent.add(values)
        self._state.epoch.add(values)
        if (event.step + 1) % self._every == 0:
            means = self._state.recent.take()
            now, steps = time.perf_counter(), event.step + 1 - self._noted[1]
            pace = {"learning_rate": event.learning_rate, "seconds": (now - self._noted[0]) / steps}
            self._noted = (now, event.step + 1)
            self._note("step", event, {**means, **pace})
        if self._progress.is_due():
            self.show(event.step, {"train/loss": event.loss})

    def epoch(self, event: Event, means: Mapping[str, float]) -> None:
        """Take note of the end of an epoch and its means."""
        self.tell_guards(event)
        self._note("epoch", event, means)

    def scores(self, event: Event, select: str, is_best: bool) -> None:
        """Take note of an evaluation."""
        self._note("score", event, {**event.scores, "seconds": event.seconds, "best": is_best})
        self._run.progress(step=event.step, score={select: event.scores[select]})
        self._run.flush()
        listed = "  ".join(f"{name} {console.number(value)}" for name, value in event.scores.items())
        best = "  (best)" if is_best else ""
        self._progress.news(
            event.step, f"{self._run.name}: epoch {event.epoch + 1}  step {event.step}  {listed}{best}"
        )
        self.tell_guards(event)

    def say(self, kind: str, step: int, sentence: str) -> None:
        """Tell journal and terminal about a choice that was made for the user."""
        self._run.journal(kind, step=step, sentence=sentence)
        self._progress.line(f"{self._run.name}: {sentence}")

    def line(self, text: str) -> None:
        """Show a line; the journal holds more of it than fits."""
        self._progress.line(text)

    def rewind(self, step: int, total: int) -> None:
        """Count on from another step, to another end."""
        self._noted, self.heard = (time.perf_counter(), step), None
        self._progress.extend(total)
        self._run.progress(step=step, total=total)

    def treated(self, sentence: str, treatment: Treatment) -> None:
        """Tell journal and terminal what was done about an alarm."""
        fields = {**treatment.plain(), "alarm_step": treatment.step, "step": treatment.to}
        self._run.journal("remedy", sentence=sentence, **fields)
        self._progress.line(f"{self._run.name}: {sentence}")

    def eta_s(self, step: int) -> float | None:
        """Seconds left at the pace of this process."""
        return self._progress.eta_s(step)

    def show(self, step: int, numbers: Mapping[str, float]) -> None:
        """Bring the status and the bar up to date."""
        eta = self._progress.eta_s(step)
        self._run.progress(step=step, eta_s=None if eta is None else round(eta, 1))
        self._progress.show(step, numbers)

    def _note(self, kind: str, event: Event, values: Mapping[str, float | bool]) -> None:
        # Counted the way a reader counts: steps after they were taken, epochs from 1.
        step = event.step + 1 if kind == "step" else event.step
        self._run.journal(kind, step=step, epoch=event.epoch + 1, **values)
        if self._events is not None:
            self._events.add(step, values)

    def tell_guards(self, event: Event) -> None:
        """Ask every guard; write their alarms down, and raise the first that halts."""
        self.heard = event
        alarms = [alarm for guard in self._guards if (alarm := guard.watch(event)) is not None]
        # All are written down before one of them stops the run: the first may not be the cause.
        for alarm in alarms:
            self._raise(alarm, event.step)
        # Before the first step there is nothing to treat yet.
        if alarms and self.heals and event.kind != "start":
            alarm = curable(alarms, self._state.treatments, self._known)
            if alarm is not None:
                raise Sick(alarm, event)
        for alarm in alarms:
            if alarm.level == "halt":
                raise Halted(f"Guard {alarm.guard}: {alarm.sentence}")
        self.heard = None

    def _raise(self, alarm: Alarm, step: int) -> None:
        remedy = None if alarm.remedy is None else str(alarm.remedy)
        self._run.journal(
            "alarm",
            step=step,
            guard=alarm.guard,
            level=alarm.level,
            sentence=alarm.sentence,
            numbers=dict(alarm.numbers),
            remedy=remedy,
        )
        advice = f" Remedy: {remedy}." if remedy else ""
        self._progress.line(f"{alarm.level}: guard {alarm.guard}: {alarm.sentence}{advice}")
