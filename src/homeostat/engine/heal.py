"""What does --heal do with an alarm? One bounded remedy at a time, noted in the State, so that a healed run is exact.

A remedy takes effect through `State.remedies` alone: the plan reads rates and ends from it, the batches read who is in
quarantine. Weights are taken back to the last evaluation without an alarm, which is a function of the step, not of
the clock. Hence a healed run can be killed, resumed and replayed bit for bit like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from homeostat.audits.batch import at_rest
from homeostat.data.batches import Indices
from homeostat.engine import checkpoint, memory, precision
from homeostat.engine import device as devices
from homeostat.errors import Halted, unwritable
from homeostat.guards.base import Alarm, Event
from homeostat.ode import SolverError

if TYPE_CHECKING:  # the loop knows what heals it, and this what it heals
    from homeostat.engine.loop import Loop

# More would hide a fault that somebody should look at.
MOST, MOST_OF_A_KIND = 8, 3
# A row is the culprit when its own loss is not finite, or this many times the median of its batch.
CULPRIT = 50.0
# A data set of which more than this is in quarantine is not the one that was to be learnt.
QUARANTINE = 0.05
# What only the task itself can do, by a function in `Task.remedies`.
BY_TASK = ("loosen_tolerance", "change_solver")
GOOD = 3
"""Evaluations without an alarm that are kept."""


class Sick(Exception):
    """An alarm whose remedy may be applied; raised where it was heard, caught where a step can be left."""

    def __init__(self, alarm: Alarm, event: Event) -> None:
        super().__init__(alarm.sentence)
        self.alarm, self.event = alarm, event


def curable(
    alarms: Sequence[Alarm], remedies: Sequence[Mapping[str, Any]], known: Sequence[str]
) -> Alarm | None:
    """The gravest alarm whose remedy can be applied once more."""
    for alarm in sorted(alarms, key=lambda alarm: alarm.level != "halt"):
        if alarm.remedy is None or len(remedies) >= MOST:
            continue
        action = alarm.remedy.action
        used = sum(note["action"] == action for note in remedies)
        if used < MOST_OF_A_KIND and (action not in BY_TASK or action in known):
            return alarm
    return None


def rate_factor(remedies: Sequence[Mapping[str, Any]]) -> float:
    """By what the learning rate is multiplied."""
    return math.prod(float(note["rate"]) for note in remedies)


def is_stopped(remedies: Sequence[Mapping[str, Any]]) -> bool:
    return any(note["action"] == "stop" for note in remedies)


def epochs(planned: int, remedies: Sequence[Mapping[str, Any]]) -> int:
    """Epochs after all extensions."""
    factors = [note["factor"] for note in remedies if note["action"] == "extend"]
    return int(planned * math.prod(factors))


def quarantined(rows: Indices, remedies: Sequence[Mapping[str, Any]], count: int) -> Indices:
    """The rows of a batch that may be learnt from; as many others where that is none of them."""
    bad = [row for note in remedies for row in note["rows"]]
    if not bad:
        return rows
    left = rows[~np.isin(rows, bad)]
    return left if len(left) else np.setdiff1d(np.arange(count, dtype=np.int64), bad)[: len(rows)]


@contextmanager
def remedied(loop: Loop[Any]) -> Iterator[None]:
    """One turn of a run; if it raises Sick, the remedy is applied and the next turn follows."""
    try:
        yield
    except Sick as sick:
        apply(loop, sick)


def keep_good(loop: Loop[Any]) -> None:
    """Keep the state of an evaluation at which nothing was wrong."""
    folder, state = loop.saver.folder, loop.state
    kept = checkpoint.path_of(folder, state.step, "good")
    try:
        checkpoint.write(kept, {"state": state.snapshot()})
    except OSError as error:
        raise unwritable(error, kept) from error
    for path in _goods(folder, state.step)[:-GOOD]:
        checkpoint.remove(path)


def apply(loop: Loop[Any], sick: Sick) -> None:
    """Apply the remedy of an alarm, note it in State and journal, and save."""
    state, event, remedy = loop.state, sick.event, sick.alarm.remedy
    assert remedy is not None
    note: dict[str, Any] = {
        "action": remedy.action,
        "guard": sick.alarm.guard,
        "step": event.step,
        "rows": [],
        "rate": 1.0,
        "factor": remedy.factor,
        "region": remedy.region,
        "to": state.step,
    }
    earlier = list(state.remedies)
    if remedy.action in ("skip_batch", "rollback"):
        note["rows"] = _culprits(loop, event, whole=remedy.action == "skip_batch")
    _refuse_large(loop, note, earlier)
    if remedy.action == "rollback" or (remedy.action == "skip_batch" and loop.is_late):
        note["to"] = _roll_back(loop, sick)
        note["rate"] = 1.0 if note["rows"] else remedy.factor
    elif remedy.action == "lower_lr":
        note["rate"] = remedy.factor
    elif remedy.action == "smaller_pieces":
        state.pieces = memory.doubled(state.pieces, loop.task.batches.size)
    state.remedies = [*earlier, note]
    take_effect(loop)
    loop.rewind()
    loop.watch.remedy(_sentence(note), note)
    loop.saver.rewind(state)


def take_effect(loop: Loop[Any]) -> None:
    """Bring what is not read from the State at every step in line with it: after a remedy, and after a resume."""
    settings, remedies = loop.plan.settings, loop.state.remedies
    loop.plan = replace(loop.plan, settings=replace(settings, epochs=epochs(loop.planned_epochs, remedies)))
    for note in remedies[loop.healed :]:  # each takes effect once in a process
        if note["action"] == "precision":
            _raise_to_fp32(loop, note["region"])
        if note["action"] in BY_TASK:
            loop.task.remedies[note["action"]](note["factor"])
    loop.healed = len(remedies)


def _raise_to_fp32(loop: Loop[Any], region: str) -> None:
    """That part of the model, or everything for an empty name."""
    if not region:
        loop.precision = replace(loop.precision, regions=())
        return
    for model in (loop.task.model, loop.state.average):
        if model is not None and "forward" not in vars(
            model.get_submodule(region)
        ):  # else it is in fp32 already
            loop.undo.append(precision.protect(model, (region,), loop.device))


def _culprits(loop: Loop[Any], event: Event, whole: bool) -> list[int]:
    """Rows that alone make the loss what it is; the whole batch if none does and `whole` is asked for."""
    if event.kind == "epoch":
        return _culprits_of_epoch(loop, event)
    if len(event.rows) == 0:
        return []
    bad = _outliers(loop, [np.array([row]) for row in event.rows], event.epoch)
    if len(bad) > len(event.rows) // 2:
        bad = []  # it is the model, not the rows
    return bad or ([int(row) for row in event.rows] if whole else [])


def _culprits_of_epoch(loop: Loop[Any], event: Event) -> list[int]:
    """Look through the batches of an epoch, and then at each row of those that stand out."""
    batches, first = loop.task.batches, event.epoch * loop.plan.per_epoch
    order = [batches.indices(step) for step in range(first, first + loop.plan.per_epoch)]
    kept = [quarantined(rows, loop.state.remedies, batches.count) for rows in order]
    worst = set(_outliers(loop, kept, event.epoch))
    singles = [np.array([row]) for rows in kept if worst & set(rows.tolist()) for row in rows]
    bad = _outliers(loop, singles, event.epoch) if singles else []
    return bad if len(bad) <= max(QUARANTINE * batches.count, 1) else []


def _outliers(loop: Loop[Any], groups: Sequence[Indices], epoch: int) -> list[int]:
    """Rows of the groups whose loss is not finite or far above that of the others; asked in eval mode."""
    task, losses = loop.task, []
    with at_rest(task.model):
        for rows in groups:
            batch = devices.move(task.batches.batch(rows, epoch), loop.device)
            try:
                losses.append(abs(float(task.loss(task.model, batch).total)))
            except SolverError:
                losses.append(math.inf)
    finite = sorted(loss for loss in losses if math.isfinite(loss))
    limit = CULPRIT * max(finite[len(finite) // 2] if finite else 0.0, 1e-6)
    return [int(row) for rows, loss in zip(groups, losses, strict=True) if not loss <= limit for row in rows]


def _refuse_large(loop: Loop[Any], note: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]]) -> None:
    rows = {row for each in (*earlier, note) for row in each["rows"]}
    if len(rows) > max(QUARANTINE * loop.task.batches.count, loop.task.batches.size):
        raise Halted(
            f"{len(rows)} of {loop.task.batches.count} rows would be in quarantine: so many are a fault of the data or "
            "the model. Look at them, mend the data, and start anew."
        )


def _roll_back(loop: Loop[Any], sick: Sick) -> int:
    """Take weights, optimiser, guards and counters back to before the illness."""
    state, folder = loop.state, loop.saver.folder
    goods = _goods(folder, state.step)
    if not goods:
        raise Halted(f"Guard {sick.alarm.guard}: {sick.alarm.sentence} There is no good state to go back to.")
    # An illness that evaluations show has been there for more than one of them.
    back = 1 if sick.event.kind == "step" else 2
    # The same illness at the same place again: begin earlier.
    back += sum(abs(note["step"] - sick.event.step) <= 2 for note in state.remedies)
    path = goods[max(len(goods) - back, 0)]
    state.load(checkpoint.read(path)["state"])
    return state.step


def _goods(folder: Path, step: int) -> list[Path]:
    return [path for path in checkpoint.ring(folder, "good") if checkpoint.step_of(path) <= step]


def _sentence(note: Mapping[str, Any]) -> str:
    what = {
        "skip_batch": f"{len(note['rows'])} rows are put in quarantine",
        "rollback": f"went back to step {note['to']}",
        "lower_lr": "the learning rate is lowered",
        "precision": f"{note['region'] or 'everything'} is computed in fp32 from here on",
        "loosen_tolerance": f"tolerances are {note['factor']:g} times as wide",
        "change_solver": "another solver takes over",
        "smaller_pieces": "batches are cut into more pieces",
        "extend": f"{note['factor']:g} times as many epochs",
        "stop": "training ends here; the best state is kept",
    }[note["action"]]
    rate = "" if note["rate"] == 1.0 else f", learning rate times {note['rate']:g}"
    rows = f", rows {', '.join(map(str, note['rows'][:8]))} in quarantine" if note["rows"] else ""
    rows = rows if note["action"] == "rollback" else ""
    return f"healed at step {note['step']} (guard {note['guard']}): {what}{rate}{rows}"
