"""Streams of events as guards see them: of runs that are well, and of runs that are made ill on purpose.

Guards show on these what they fire on (`example`); the laws of tests/guards and `homeostat doctor` replay them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from homeostat.guards.base import Event
from homeostat.task.look import Look
from homeostat.task.numbers import ODE_EVALUATIONS, ODE_REJECTED, ODE_STEPS

EPOCH = 25
EPOCHS = 20
ONSET = 150
"""Step from which an example is ill."""


def healthy(seed: int = 0, epochs: int = EPOCHS, clip: float = 5.0) -> Iterator[Event]:
    """Yield a run of 25 steps per epoch that learns, converges and ends, with the noise that small batches have."""
    noise = random.Random(seed)
    total = epochs * EPOCH
    plan = {"steps": float(total), "steps_per_epoch": float(EPOCH), "clip": clip}
    yield Event(kind="start", step=0, epoch=0, numbers=plan, select="valid/auroc", direction="max")
    losses: list[float] = []
    for step in range(total):
        event = _step(step, total, noise)
        losses.append(event.loss)
        yield event
        if (step + 1) % EPOCH == 0:
            yield from _epoch_end(step + 1, total, losses, noise)
            losses = []
    yield Event(kind="end", step=total, epoch=epochs, select="valid/auroc", direction="max")


def _step(step: int, total: int, noise: random.Random) -> Event:
    falls = 0.3 + 0.7 * math.exp(-5 * step / total)
    loss = falls * noise.lognormvariate(0, 0.2)
    return Event(
        kind="step",
        step=step,
        epoch=step // EPOCH,
        loss=loss,
        gradient_norm=(0.5 + falls) * noise.lognormvariate(0, 0.4),
        learning_rate=1e-3 * 0.5 * (1 + math.cos(math.pi * step / total)),
        terms={"data": 0.9 * loss, "prior": 0.1 * loss * min(1.0, step // EPOCH / 3)},
        numbers=_numbers(step, total, noise),
        rows=range(step % EPOCH * 8, step % EPOCH * 8 + 8),
        # One step in a hundred takes twenty times as long: a neighbour on the machine, which is no illness.
        seconds=0.1 * noise.lognormvariate(0, 0.2) * (20 if noise.random() < 0.01 else 1),
        waited=0.01 * noise.random(),
    )


def _numbers(step: int, total: int, noise: random.Random) -> dict[str, float]:
    return {
        # Healthy fields become harder, by up to 1.8 in the recipes (stiffness.py).
        ODE_EVALUATIONS: 40 * (1 + 0.6 * step / total) * noise.lognormvariate(0, 0.1),
        ODE_REJECTED: float(noise.random() < 0.2),
        ODE_STEPS: 10.0,
    }


def _look(noise: random.Random) -> Look:
    names = ("encoder.weight", "encoder.bias", "head.weight")
    return Look(
        gradients={name: noise.lognormvariate(-2, 1) for name in names},
        moved={name: noise.lognormvariate(-7, 0.5) for name in names},
        weights=dict.fromkeys(names, 1.0),
    )


def _epoch_end(step: int, total: int, losses: list[float], noise: random.Random) -> Iterator[Event]:
    means = {"train/loss": sum(losses) / len(losses)}
    machine = {
        "memory_bytes": 1e9 * (1 + 0.02 * noise.random()),
        "memory_free_bytes": 8e9,
        "disk_free_bytes": 5e10 - 1e6 * step,
        "checkpoint_bytes": 1e8,
        "seconds_left": 3600.0 - 0.1 * step,
        "eta_seconds": 0.1 * (total - step),
    }
    common: dict[str, Any] = {"step": step, "epoch": step // EPOCH - 1, "loss": means["train/loss"]}
    yield Event(kind="epoch", terms=means, numbers=machine, look=_look(noise), **common)
    gained = 1 - math.exp(-4 * step / total)
    scores = {
        # 0.008 is the standard error of an AUROC on 4,000 stays (log/icu.md).
        "valid/auroc": 0.55 + 0.3 * gained + noise.gauss(0, 0.008),
        "valid/recall": 0.4 + 0.3 * gained,
        "valid/precision": 0.2 + 0.4 * gained,
        "valid/prevalence": 0.15,
    }
    yield Event(kind="score", scores=scores, select="valid/auroc", direction="max", **common)


def ill(change: Callable[[Event], Event], seed: int = 0, onset: int = ONSET, **run: int) -> Iterator[Event]:
    """Yield a healthy run, each of whose events is changed from the onset on."""
    for event in healthy(seed, **run):
        yield change(event) if event.step >= onset else event


def measured(seed: int = 0, onset: int = ONSET, **numbers: float) -> Iterator[Event]:
    """Yield a run in which some numbers take other values from the onset on, wherever they are measured."""

    def change(event: Event) -> Event:
        present = {name: value for name, value in numbers.items() if name in event.numbers}
        return replace(event, numbers={**event.numbers, **present}) if present else event

    return ill(change, seed, onset)


def scored(seed: int = 0, **scores: float) -> Iterator[Event]:
    """Yield a run in which some scores take other values from the onset on."""
    changed = {f"valid/{name}": value for name, value in scores.items()}

    def change(event: Event) -> Event:
        return replace(event, scores={**event.scores, **changed}) if event.kind == "score" else event

    return ill(change, seed)


def field(name: str, value: Callable[[Event], float | Mapping[str, float]], seed: int = 0) -> Iterator[Event]:
    """Yield a run in which one field of every step takes another value from the onset on."""

    def change(event: Event) -> Event:
        changed: dict[str, Any] = {name: value(event)}
        return replace(event, **changed) if event.kind == "step" else event

    return ill(change, seed)
