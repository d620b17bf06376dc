"""One remedy of one alarm, applied and written down. What it does from then on is in `remedies` and `effects`.

Weights are taken back to the last evaluation without an alarm, which is a function of the step, not of the clock:
so a healed run is exact like any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from homeostat.data.batches import Indices
from homeostat.engine import device as devices
from homeostat.engine import memory
from homeostat.engine.loop import Loop
from homeostat.engine.remedies import Sick, Treatment, quarantined
from homeostat.errors import Halted
from homeostat.guards.base import Event
from homeostat.ode import SolverError
from homeostat.task.randomness import seeded
from homeostat.task.vitals import at_rest

# A row is the culprit when its own loss is not finite, or this many times the median of its batch.
CULPRIT = 50.0
# A data set of which more than this is in quarantine is not the one that was to be learnt.
QUARANTINE = 0.05


def treat(loop: Loop, sick: Sick) -> None:
    """Apply the remedy of an alarm, note it in State and journal, and save."""
    state, event, remedy = loop.state, sick.event, sick.alarm.remedy
    assert remedy is not None
    treatment = Treatment(
        action=remedy.action,
        guard=sick.alarm.guard,
        step=event.step,
        factor=remedy.factor,
        region=remedy.region,
        to=state.step,
    )
    earlier = state.treatments  # rolling back loses the last of them
    if remedy.action in ("skip_batch", "rollback"):
        treatment = replace(treatment, rows=_culprits(loop, event, whole=remedy.action == "skip_batch"))
    _refuse_large(loop, [*earlier, treatment])
    # An alarm that comes late comes after the update that it is about.
    if remedy.action == "rollback" or (remedy.action == "skip_batch" and loop.readout.is_late):
        rate = 1.0 if treatment.rows else remedy.factor
        treatment = replace(treatment, to=_roll_back(loop, sick), rate=rate)
    elif remedy.action == "lower_lr":
        treatment = replace(treatment, rate=remedy.factor)
    elif remedy.action == "smaller_pieces":
        state.pieces = memory.doubled(state.pieces, loop.task.batches.size)
    state.treatments = (*earlier, treatment)
    loop.effects.follow(state.treatments)
    loop.rewind()
    loop.watch.treated(_sentence(treatment), treatment)
    loop.saver.rewind(state)


def _culprits(loop: Loop, event: Event, whole: bool) -> tuple[int, ...]:
    """Return rows that alone make the loss what it is; the whole batch if none does and `whole` is wanted."""
    if event.kind == "epoch":
        return _culprits_of_epoch(loop, event)
    if len(event.rows) == 0:
        return ()
    # Row by row before the rate: a lower rate does not cure a poisoned row (0.671 beside 0.388 healthy, log/guards.md).
    bad = _outliers(loop, [np.array([row]) for row in event.rows], event.epoch)
    if len(bad) > len(event.rows) // 2:
        bad = ()  # it is the model, not the rows
    return bad or (tuple(int(row) for row in event.rows) if whole else ())


def _culprits_of_epoch(loop: Loop, event: Event) -> tuple[int, ...]:
    """Look through the batches of an epoch, and then at each row of those that stand out."""
    batches, first = loop.task.batches, event.epoch * loop.timetable.per_epoch
    order = [batches.indices(step) for step in range(first, first + loop.timetable.per_epoch)]
    kept = [quarantined(rows, loop.state.treatments, batches.count) for rows in order]
    worst = set(_outliers(loop, kept, event.epoch))
    singles = [np.array([row]) for rows in kept if worst & set(rows.tolist()) for row in rows]
    bad = _outliers(loop, singles, event.epoch) if singles else ()
    # As many rows as that are not poisoned rows among sound ones; the model is ill.
    return bad if len(bad) <= max(QUARANTINE * batches.count, 1) else ()


def _outliers(loop: Loop, groups: Sequence[Indices], epoch: int) -> tuple[int, ...]:
    """Return rows of the groups whose loss, in eval mode, is not finite or far above that of the others."""
    task, losses = loop.task, []
    # The address of audits: a row is judged with the same noise before training and in the middle of it.
    with seeded(0, "audit"), at_rest(task.model):
        for rows in groups:
            batch = devices.move(task.batches.batch(rows, epoch), loop.device)
            try:
                losses.append(abs(float(task.loss(task.model, batch).total)))
            except SolverError:
                losses.append(math.inf)
    finite = sorted(loss for loss in losses if math.isfinite(loss))
    # The median of the finite ones: a batch may hold several culprits, which would lift a mean.
    limit = CULPRIT * max(finite[len(finite) // 2] if finite else 0.0, 1e-6)
    return tuple(
        int(row) for rows, loss in zip(groups, losses, strict=True) if not loss <= limit for row in rows
    )


def _refuse_large(loop: Loop, treatments: Sequence[Treatment]) -> None:
    rows = {row for treatment in treatments for row in treatment.rows}
    if len(rows) > max(QUARANTINE * loop.task.batches.count, loop.task.batches.size):
        raise Halted(
            f"{len(rows)} of {loop.task.batches.count} rows would be in quarantine: so many are a fault of the data or "
            "the model. Look at them, mend the data, and start anew."
        )


def _roll_back(loop: Loop, sick: Sick) -> int:
    """Take weights, optimiser, guards and counters back to before the illness; return that step."""
    state, step = loop.state, sick.event.step
    # An illness that evaluations show has been there for more than one of them.
    back = 1 if sick.event.kind == "step" else 2
    # The same illness at the same place again: begin earlier.
    back += sum(abs(treatment.step - step) <= 2 for treatment in state.treatments)
    if not loop.saver.restore_good(state, back):
        raise Halted(f"Guard {sick.alarm.guard}: {sick.alarm.sentence} There is no good state to go back to.")
    return state.step


def _sentence(treatment: Treatment) -> str:
    factor, rows = f"{treatment.factor:g}", treatment.rows
    what = {
        "skip_batch": f"{len(rows)} rows are put in quarantine",
        "rollback": f"went back to step {treatment.to}",
        "lower_lr": "the learning rate is lowered",
        "precision": f"{treatment.region or 'everything'} is computed in fp32 from here on",
        "loosen_tolerance": f"tolerances are {factor} times as wide",
        "change_solver": "another solver takes over",
        "smaller_pieces": "batches are cut into more pieces",
        "extend": f"{factor} times as many epochs",
        "stop": "training ends here; the best state is kept",
    }[treatment.action]
    rate = "" if treatment.rate == 1.0 else f", learning rate times {treatment.rate:g}"
    listed = f", rows {', '.join(map(str, rows[:8]))} in quarantine" if rows else ""
    listed = listed if treatment.action == "rollback" else ""
    return f"healed at step {treatment.step} (guard {treatment.guard}): {what}{rate}{listed}"
