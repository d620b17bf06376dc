"""Signs of the live model: how far a step moved it, what moved without one, where a NaN began."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from homeostat.task.look import Look

Named = Sequence[tuple[str, Tensor]]


def trainable(model: nn.Module, chosen: Sequence[Tensor] | None = None) -> Named:
    """Return the parameters that training is meant to move: those of the optimiser, where it is known."""
    among = None if chosen is None else {id(value) for value in chosen}
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    return [(name, value) for name, value in named if among is None or id(value) in among]


def copy_of(named: Named) -> list[Tensor]:
    """Return a copy of their values."""
    return [value.detach().clone() for _, value in named]


def look(named: Named, before: Sequence[Tensor]) -> Look:
    """Measure the step between `before` and now, whose gradients are still there; one read of the device."""
    names = [name for name, _ in named]
    values = [value.detach() for _, value in named]
    gradients = [torch.zeros((), device=v.device) if v.grad is None else v.grad for _, v in named]
    moved = [new - old for new, old in zip(values, before, strict=True)]
    norms = [_norms(parts) for parts in (gradients, moved, values)]
    read = torch.stack(norms).tolist()
    gradients_of, moved_by, weights = (dict(zip(names, row, strict=True)) for row in read)
    return Look(gradients=gradients_of, moved=moved_by, weights=weights)


def _norms(parts: Sequence[Tensor]) -> Tensor:
    # One kernel for all parts; a norm in bf16 has too few digits to tell a small step from none.
    return torch.stack([norm.float() for norm in torch._foreach_norm(list(parts))])


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of parameters and buffers, to see whether something writes into them."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """In eval mode and without gradients; not model.train() afterwards: a frozen part may have been left in eval."""
    modes = [(part, part.training) for part in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def strayed(model: nn.Module, before: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return the names of what is no longer what it was."""
    # A NaN differs from itself, and another guard speaks of it.
    return tuple(
        name
        for name, value in model.state_dict().items()
        if not torch.equal(value, before[name]) and not torch.isnan(before[name].float()).any()
    )


def autopsy(model: nn.Module, named: Named, forward: Callable[[], Any]) -> Look:
    """Look at a step whose loss or gradient is no number: where it began, and which gradients it reached."""
    # The gradients are still those of the step; the forward pass below is another one.
    norms = {name: float(value.grad.norm()) for name, value in named if value.grad is not None}
    return Look(gradients=norms, first_bad=first_bad(model, forward))


def first_bad(model: nn.Module, forward: Callable[[], Any]) -> str:
    """Run the forward pass again and name the first part whose output is not finite although its inputs were."""
    bad: list[str] = []

    def hear(name: str, part: nn.Module, inputs: Any, output: Any) -> None:
        if not bad and _is_bad(output) and not _is_bad(inputs):
            bad.append(f"{name} ({type(part).__name__})")

    # Leaves alone: of a part that holds others, the first bad one inside is the better answer.
    leaves = [(name, part) for name, part in model.named_modules() if not any(part.children()) and name]
    handles = [part.register_forward_hook(partial(hear, name)) for name, part in leaves]
    try:
        with torch.no_grad():
            forward()
    finally:
        for handle in handles:
            handle.remove()
    return bad[0] if bad else ""


def _is_bad(value: Any) -> bool:
    if isinstance(value, Tensor):
        return bool(value.is_floating_point() and not torch.isfinite(value).all())
    return isinstance(value, list | tuple) and any(map(_is_bad, value))
