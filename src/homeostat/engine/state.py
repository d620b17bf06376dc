"""Everything that changes while a model is trained. A checkpoint is a copy of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from homeostat.config import changed_keys
from homeostat.engine import optim, schedule
from homeostat.engine.optim import OptimConfig
from homeostat.engine.remedies import Treatment
from homeostat.errors import CheckpointError
from homeostat.guards.base import AbstractGuard
from homeostat.task.task import Task


@dataclass(frozen=True, kw_only=True)
class Best:
    """The weights with the best score so far."""

    score: float
    step: int
    weights: Mapping[str, Tensor]
    """On the CPU, copied: they never alias the live model."""


@dataclass
class Meters:
    """Sums of what a stretch of steps measured, so that a resumed stretch reports the same means."""

    sums: dict[str, float] = field(default_factory=dict)
    steps: int = 0

    def add(self, values: Mapping[str, float]) -> None:
        self.steps += 1
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def take(self) -> dict[str, float]:
        """Return the means and start anew."""
        means = {name: value / self.steps for name, value in self.sums.items()}
        self.sums, self.steps = {}, 0
        return means


@dataclass(kw_only=True)
class State:
    """Everything that evolves. What changes in training and is not here is a bug."""

    model: nn.Module
    optimizer: Optimizer
    average: nn.Module | None
    guards: Sequence[AbstractGuard]
    batches: Mapping[str, int]
    """Count, size and seed of the batches: a step means something else with others."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The settings and the configuration of the run that hold from the first step to the last."""
    step: int = 0
    """Optimiser steps taken; order, dropout and learning rate follow from it."""
    scored: int = 0
    """Step of the last evaluation."""
    pieces: int = 1
    """Micro-batches per batch; doubled when memory runs out."""
    treatments: tuple[Treatment, ...] = ()
    """Remedies that were applied, in order; rates, ends and quarantine are functions of them."""
    scores: list[float] = field(default_factory=list)
    """The selected score of every evaluation; early stopping and the plateau schedule are functions of it."""
    best: Best | None = None
    recent: Meters = field(default_factory=Meters)
    epoch: Meters = field(default_factory=Meters)

    @staticmethod
    def fresh(
        task: Task[Any],
        config: OptimConfig,
        pieces: int,
        guards: Sequence[AbstractGuard],
        kept: Mapping[str, Any] | None = None,
    ) -> State:
        """The state before the first step. `kept`: the configuration that may not change on the way."""
        average = copy.deepcopy(task.model).requires_grad_(False) if config.average else None
        optimizer = optim.build(task.model, task.groups, config)
        batches = {"count": task.batches.count, "size": task.batches.size, "seed": task.batches.seed}
        return State(
            model=task.model,
            optimizer=optimizer,
            average=average,
            guards=guards,
            batches=batches,
            config=kept or {},
            pieces=pieces,
        )

    @property
    def scored_model(self) -> nn.Module:
        """The model that is scored and kept: the averaged one where there is one."""
        return self.model if self.average is None else self.average

    def offer(self, score: float, direction: str) -> bool:
        """Take note of a score; keep these weights if it is the best. Return whether it was."""
        self.scored = self.step
        self.scores.append(score)
        if not schedule.better(score, math.nan if self.best is None else self.best.score, direction):
            return False
        weights = {name: _copy(value) for name, value in self.scored_model.state_dict().items()}
        self.best = Best(score=score, step=self.step, weights=weights)
        return True

    def best_model(self) -> nn.Module:
        """Return a copy of the model with the best weights, in eval mode."""
        if self.best is None:
            raise CheckpointError(
                "No score has been taken yet, so there is no best model. Train to the first evaluation."
            )
        model = copy.deepcopy(self.model)
        load_weights(model, self.best.weights)
        return model.eval()

    def snapshot(self) -> dict[str, Any]:
        """Return a copy on the CPU, in plain tensors and values, that later steps do not change."""
        best = None if self.best is None else {**vars(self.best), "weights": dict(self.best.weights)}
        # "remedies" is the name of the treatments since format 1.
        return {
            "model": copied(self.model.state_dict()),
            "optimizer": copied(self.optimizer.state_dict()),
            "average": None if self.average is None else copied(self.average.state_dict()),
            "guards": {guard.name: copied(guard.state_dict()) for guard in self.guards},
            "batches": dict(self.batches),
            "config": copied(self.config),
            "step": self.step,
            "scored": self.scored,
            "pieces": self.pieces,
            "scores": list(self.scores),
            "remedies": [treatment.plain() for treatment in self.treatments],
            "best": best,
            "recent": copied(vars(self.recent)),
            "epoch": copied(vars(self.epoch)),
        }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Become the state of a snapshot; raises CheckpointError if it belongs to another model."""
        # Before any tensor is touched: with other batches step 100 is another step, and a resume would not be exact.
        if saved["batches"] != self.batches:
            changes = ", ".join(
                f"{name} {saved['batches'][name]} -> {self.batches[name]}" for name in self.batches
            )
            raise CheckpointError(
                f"The batches are not those of the checkpoint ({changes}). Use the data and config of the run."
            )
        if changed := changed_keys(saved["config"], dict(self.config)):
            raise CheckpointError(
                f"The checkpoint was made with other settings ({'; '.join(changed)}). Use those of the run, or start a "
                "new one."
            )
        load_weights(self.model, saved["model"])
        if (self.average is None) != (saved["average"] is None):
            raise CheckpointError(
                "The checkpoint and the settings differ in weight averaging. Use the run's own config."
            )
        if self.average is not None:
            load_weights(self.average, saved["average"])
        try:
            self.optimizer.load_state_dict(saved["optimizer"])
        except ValueError as error:
            raise CheckpointError(
                f"The optimiser of the checkpoint does not fit this model: {error}."
            ) from error
        # Guards may come and go between two starts of a run; the others go on from what they know.
        for guard in self.guards:
            if guard.name in saved["guards"]:
                guard.load_state_dict(saved["guards"][guard.name])
        self.step, self.scored, self.pieces = saved["step"], saved["scored"], saved["pieces"]
        self.scores = list(saved["scores"])
        self.treatments = tuple(Treatment.read(plain) for plain in saved["remedies"])
        self.best = None if saved["best"] is None else Best(**saved["best"])
        self.recent, self.epoch = Meters(**saved["recent"]), Meters(**saved["epoch"])


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights that must fit exactly; names every key that is missing, unexpected or of another shape."""
    own = model.state_dict()
    missing = [name for name in own if name not in weights]
    unexpected = [name for name in weights if name not in own]
    reshaped = [
        f"{name} {tuple(weights[name].shape)} in the file, {tuple(own[name].shape)} in the model"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    if any(problems.values()):
        listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in problems.items() if names)
        raise CheckpointError(
            f"The checkpoint does not fit the model ({listed}). Use the config that the run was started with."
        )
    model.load_state_dict(weights)


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """List the places where two snapshots differ, by a single bit or more."""
    if isinstance(one, Mapping) and isinstance(other, Mapping) and list(one) == list(other):
        parts = [differences(one[key], other[key], f"{where}/{key}") for key in one]
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        parts = [differences(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(one, other, strict=True))]
    elif isinstance(one, Tensor) and isinstance(other, Tensor):
        return [] if _same_bits(one, other) else [f"{where}: tensors differ"]
    else:
        # repr tells nan from nan no more than people do, and -0.0 from 0.0.
        return [] if repr(one) == repr(other) else [f"{where}: {one!r:.60} and {other!r:.60}"]
    return [line for part in parts for line in part]


def _same_bits(one: Tensor, other: Tensor) -> bool:
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    raw, also = (value.contiguous().reshape(-1).view(torch.uint8) for value in (one, other))
    return torch.equal(raw, also)


def copied(value: Any) -> Any:
    """Copy nested dicts, lists and tensors; tensors land on the CPU."""
    if isinstance(value, Tensor):
        return _copy(value)
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(copied(item) for item in value)
    return value


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", copy=True, memory_format=torch.preserve_format)
