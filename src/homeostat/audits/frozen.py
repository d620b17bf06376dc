"""A part without trainable parameters is the same, bit for bit, after training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from homeostat.audits.base import Finding, law
from homeostat.audits.given import Trial
from homeostat.task.randomness import seeded

# Batch statistics drift with the first forward pass; the second step shows an optimiser that holds frozen weights.
STEPS, ROWS = 2, 8


@law("Frozen parameters and buffers are the same before and after training.")
def frozen(trial: Trial) -> Finding | None:
    parts = frozen_parts(trial.model)
    if not parts:
        return None
    # On a copy: the examined model goes into training as it was.
    model = copy.deepcopy(trial.model)
    before = {name: _state(model.get_submodule(name)) for name in parts}
    _train(trial, model)
    drifted = {
        name: [
            key
            for key, value in _state(model.get_submodule(name)).items()
            if not torch.equal(value, before[name][key])
        ]
        for name in parts
    }
    changed = {name: keys for name, keys in drifted.items() if keys}
    if changed:
        name, keys = next(iter(changed.items()))
        return _finding(
            f"{len(keys)} tensors of the frozen part {name or 'model'} changed within {STEPS} steps, the first "
            f"is {keys[0]}.",
            {"changed": sum(map(len, changed.values())), "parts": len(changed)},
        )
    noisy = [name for name in parts if _is_noisy(model.get_submodule(name))]
    if not noisy:
        return None
    return _finding(
        f"The frozen part {noisy[0] or 'model'} is in train mode: its dropout is at work.",
        {"parts": len(noisy)},
    )


def frozen_parts(model: nn.Module) -> list[str]:
    """Return the largest parts that hold parameters and nothing trainable."""
    parts: list[str] = []
    for name, part in model.named_modules():
        is_inside = any(outer == "" or name.startswith(f"{outer}.") for outer in parts)
        parameters = list(part.parameters())
        if not is_inside and parameters and not any(parameter.requires_grad for parameter in parameters):
            parts.append(name)
    return parts


def _train(trial: Trial, model: nn.Module) -> None:
    """Take a few steps as training takes them: in the modes that the recipe set."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trainable, lr=1e-3) if trainable else None
    for step in range(STEPS):
        with seeded(step, "frozen"):
            loss = trial.loss(model, trial.batch(trial.rows(ROWS))).total
        if optimizer is not None and loss.requires_grad:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def _state(part: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in part.state_dict(keep_vars=False).items()}


def _is_noisy(part: nn.Module) -> bool:
    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
    return any(isinstance(inner, kinds) and inner.training and inner.p > 0 for inner in part.modules())


def _finding(what: str, evidence: dict[str, float]) -> Finding:
    return Finding(
        audit=frozen.name,
        severity="fatal",
        what=what,
        evidence=dict(evidence),
        cause="requires_grad=False freezes parameters only: in train mode BatchNorm statistics go on drifting "
        "and dropout stays at work.",
        advice="Freeze with requires_grad=False and eval(), and keep it in eval when the rest is put into train mode.",
    )
