"""Inputs are numbers of sound size in one unit, and the model uses each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from homeostat.audits.base import Finding, Severity, law
from homeostat.audits.batch import tensors, with_tensor
from homeostat.audits.given import Trial

ROWS = 32
# tanh saturates at some units, and weights of usual size make about as much of their input; days in the hundreds
# into a network is the battery guide's case.
LARGE = 50.0
# Units that were mixed (mV and V, mAh and Ah) differ by a thousand between subjects.
MIXED, GAP = 300.0, 30.0
NOT_INPUTS = (
    "id",
    "ids",
    "row",
    "rows",
    "index",
    "epoch",
    "subject",
    "label",
    "labels",
    "target",
    "targets",
    "y",
)
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNNBase)


@dataclass(frozen=True)
class Inputs:
    """Names of the batch's tensors that the model is meant to read."""

    absent: ClassVar[str] = "no declared inputs are at hand"

    names: Sequence[str]


@law("Inputs are finite and of a size that networks are made for.")
def input_size(trial: Trial) -> Finding | None:
    rows = trial.rows(ROWS)
    batch = trial.batch(rows)
    for name, value in tensors(batch).items():
        if value.is_floating_point() and torch.isinf(value).any():
            return _size(
                f"{int(torch.isinf(value).sum())} values of {name} are infinite.", "fatal", torch.inf
            )
    large = {name: size for name, size in _sizes(trial, batch, len(rows)).items() if size > LARGE}
    if not large:
        return None
    name, size = next(iter(large.items()))
    where = f"what layer {name or 'model'} is given"
    what = f"A tenth of {where} is above {size:.3g} in size; networks are made for about 1."
    return _size(what, "serious", size)


def _sizes(trial: Trial, batch: Any, count: int) -> dict[str, float]:
    """Return the size that a tenth of the input of each layer exceeds."""
    sizes: dict[str, float] = {}

    def hear(name: str, layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if name not in sizes and given and isinstance(given[0], Tensor):
            known = given[0][given[0].isfinite()].float().abs().reshape(-1)
            if len(known):
                # Some ten thousand numbers tell a decile to a hundredth; torch.quantile refuses more than 16 million.
                sizes[name] = float(known[:: max(len(known) // 10000, 1)].quantile(0.9))

    # At the layers, not in the batch: the battery model scales its inputs inside, and was accused (log/guards.md).
    layers = [(name, part) for name, part in trial.model.named_modules() if isinstance(part, LAYERS)]
    handles = [part.register_forward_pre_hook(partial(hear, name)) for name, part in layers]
    try:
        with trial.at_rest():
            trial.loss_of(batch, count)
    finally:
        for handle in handles:
            handle.remove()
    return sizes


@law("One input has one unit in all samples.")
def mixed_units(trial: Trial) -> Finding | None:
    for name, value in tensors(trial.batch(trial.rows(ROWS))).items():
        if not value.is_floating_point() or value.dim() < 2 or len(value) < 4 or name in NOT_INPUTS:
            continue
        sizes = value.nan_to_num().abs().flatten(1).amax(dim=1)
        sizes = sizes[sizes > 0].sort().values
        if len(sizes) < 4:
            continue
        jumps = sizes[1:] / sizes[:-1]
        place = int(jumps.argmax())
        factor = float(sizes[place + 1 :].median() / sizes[: place + 1].median())
        # Both a jump between neighbours and a factor between the groups: long tails have the one, not the other.
        if float(jumps[place]) > GAP and factor > MIXED:
            return Finding(
                audit=mixed_units.name,
                severity="serious",
                what=f"{name}: {place + 1} of {len(sizes)} samples are {factor:.0f} times smaller than the others.",
                evidence={"factor": factor},
                cause="Units are guessed per file (divided by 1000 when the mean is large), or files come in "
                "mixed units.",
                advice="Declare the unit of each column once and convert by it, never by the size of the values.",
            )
    return None


@law("Every declared input changes what the model says.")
def used_inputs(trial: Trial, inputs: Inputs) -> Finding | None:
    rows = trial.rows(8)
    batch = trial.batch(rows)
    declared = {name: value for name, value in tensors(batch).items() if name in inputs.names}
    with trial.at_rest():
        plain = trial.loss_of(batch, len(rows))[0]
        unused = [
            name for name, value in declared.items() if _moves_nothing(trial, batch, name, value, plain)
        ]
        unused += [
            f"{name} after the first half of the steps"
            for name, value in declared.items()
            if name not in unused
            and value.dim() == 3
            and value.shape[1] > 1
            and _moves_nothing(trial, batch, name, value, plain, late=True)
        ]
    if not unused:
        return None
    return Finding(
        audit=used_inputs.name,
        severity="note",
        what=f"Changing {', '.join(unused)} changes no prediction: "
        f"{'it is' if len(unused) == 1 else 'they are'} not used.",
        evidence={"unused": ", ".join(unused)},
        cause="An input that is loaded and never passed on: times of irregular samples, static features, later "
        "observations.",
        advice="Give it to the model, or leave it out and say so when models are compared.",
    )


def _moves_nothing(
    trial: Trial, batch: Any, name: str, value: Tensor, plain: float, late: bool = False
) -> bool:
    # Positive factors keep times in order and masks meaningful.
    ramp = torch.linspace(0.7, 1.4, value[0].numel()).reshape(value[0].shape).to(value)
    moved = value * ramp + 0.1 * (value != 0)
    if late:  # a model that reads the first step alone knows a curve, not this subject
        moved = torch.cat([value[:, : value.shape[1] // 2], moved[:, value.shape[1] // 2 :]], dim=1)
    changed = with_tensor(batch, name, moved)
    try:
        # Below what float32 resolves (1.2e-7): not a bit of the loss has moved.
        return abs(trial.loss_of(changed, 1)[0] - plain) <= 1e-7 * max(abs(plain), 1e-6)
    except (ValueError, RuntimeError, AssertionError):
        return False  # an input that may not be changed is one that is checked, so read


def _size(what: str, severity: Severity, largest: float) -> Finding:
    return Finding(
        audit=input_size.name,
        severity=severity,
        what=what,
        evidence={"size": largest},
        cause="Raw units (days, mV, counts) without scaling, a division by zero, or a damaged file.",
        advice="Scale by constants fitted on training ids, keep time within about 0 to 1, and verify the store: "
        "homeostat data verify RECIPE.",
    )
