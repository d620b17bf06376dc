"""From gradients to parameters: AdamW or Adam over parameter groups, the clip, and the running average."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from homeostat.errors import ConfigError
from homeostat.task.task import Group


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """The optimiser."""

    optimizer: Literal["adamw", "adam"] = "adamw"
    """adamw decays weights apart from the gradient; adam adds the decay to it (L2)."""
    # Rate and betas are those of Kingma and Ba (2015), the decay apart from the gradient is that of Loshchilov and
    # Hutter (2019).
    learning_rate: float = 1e-3
    """Peak learning rate; the schedule multiplies it."""
    weight_decay: float = 1e-2
    """Strength of the decay of all parameters that are in no group of their own."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Memory of the first and second moment."""
    clip: float = 0.0
    """Largest gradient norm; the norm before the clip is journaled. 0 does not clip."""
    average: float = 0.0
    """Decay of the exponential average of the weights that is scored and kept as best, such as 0.999. 0 is off."""

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate {self.learning_rate} must be positive.")
        if self.weight_decay < 0:
            raise ConfigError(f"weight_decay {self.weight_decay} must not be negative.")
        if self.clip < 0:
            raise ConfigError(f"clip {self.clip} must not be negative; 0 does not clip.")
        if not 0 <= self.average < 1:
            raise ConfigError(f"average {self.average} must be at least 0 and below 1, such as 0.999.")


def build(model: nn.Module, groups: Sequence[Group], config: OptimConfig) -> Optimizer:
    """Make the optimiser. Each parameter group carries `rate`, by which the scheduled rate is multiplied."""
    members: dict[Group, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            members.setdefault(_group_of(name, groups), []).append(parameter)
    for group in groups:
        if group not in members:
            raise ConfigError(f"No trainable parameter starts with {group.prefix!r}, the prefix of a group.")
    parameters: list[dict[str, Any]] = [
        {
            "params": chosen,
            "lr": config.learning_rate * group.rate,
            "rate": group.rate,
            "weight_decay": config.weight_decay if group.decay is None else group.decay,
        }
        for group, chosen in members.items()
        if group.rate > 0
    ]
    if not parameters:
        raise ConfigError("The model has no trainable parameter.")
    kind = AdamW if config.optimizer == "adamw" else Adam
    # One fused kernel for all parameters: a step of 20 tensors of 64 x 64 takes 237 us on a CPU, 1182 us without it
    # (log/engine.md). Its bits are not those of the other loop.
    return kind(parameters, lr=config.learning_rate, betas=config.betas, fused=True)


def _group_of(name: str, groups: Sequence[Group]) -> Group:
    # The longest prefix wins: a group within another one is meant more narrowly.
    matches = [group for group in groups if name.startswith(group.prefix)]
    return max(matches, key=lambda group: len(group.prefix), default=Group(""))


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the learning rate of all groups, each times its own factor."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate"]


def clip(gradients: list[Tensor], largest: float) -> Tensor:
    """Return the norm of all gradients together, then scale them so that it is at most `largest` (0: leave them)."""
    # The arithmetic of torch.nn.utils.clip_grad_norm_, bit for bit. That one sorts the gradients by device and kind,
    # twice, which for a step of 1 ms is a twentieth of it.
    if not gradients:
        return torch.tensor(0.0)
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if largest > 0:
        torch._foreach_mul_(gradients, (norm + 1e-6).reciprocal().mul_(largest).clamp_(max=1.0))
    return norm


def trainable(optimizer: Optimizer) -> list[Tensor]:
    """All parameters that the optimiser moves, in its order."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the averaged weights a little towards the live ones; copy what is not a weight (counts, statistics)."""
    # Polyak and Juditsky (1992). Averaged batch statistics would lag behind the weights that they belong to.
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        _copy(average.buffers(), model.buffers())


def _copy(into: Iterable[Tensor], source: Iterable[Tensor]) -> None:
    for mine, theirs in zip(into, source, strict=True):
        mine.copy_(theirs)
