"""The format in which each part of a model computes: a table with reasons, probed against fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Literal

import torch
from torch import nn

from homeostat.errors import ConfigError

Wish = Literal["auto", "fp32", "bf16"]

# Layers that bf16 speeds up, and whose numbers its 8 bits of mantissa can carry: no norms, losses or solves.
_FAST = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.MultiheadAttention,
)

# bf16 rounds to 2^-8; a loss that moves by more than four such roundings is not rounding any more.
PROBE_TOLERANCE = 4 * 2.0**-8


@dataclass(frozen=True, kw_only=True)
class Region:
    """One row of the plan."""

    name: str
    dtype: Literal["fp32", "bf16"]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Precision:
    """The plan of a run: its regions, and the context in which the loss is computed."""

    device: torch.device
    regions: tuple[Region, ...]

    @cached_property
    def is_mixed(self) -> bool:
        return any(region.dtype == "bf16" for region in self.regions)

    def forward(self) -> AbstractContextManager[Any]:
        """Return the context for the forward pass of the whole model; islands switch it off for themselves."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.is_mixed else nullcontext()

    def table(self) -> list[dict[str, str]]:
        """Return the plan as environment.json shows it."""
        return [
            {"region": region.name, "dtype": region.dtype, "reason": region.reason} for region in self.regions
        ]


def plan(model: nn.Module, islands: Sequence[str], wish: Wish, device: torch.device) -> Precision:
    """Decide for each region. Nothing runs in fp16: its range, not its speed, is what fails."""
    names = dict(model.named_modules())
    for island in islands:
        if island not in names:
            raise ConfigError(
                f"The model has no part {island!r} to keep in fp32. Parts: {', '.join(names)[:200]}."
            )
    possible, reason = _bf16(device)
    if wish == "bf16" and not possible:
        raise ConfigError(f"precision bf16 was asked for, but {reason}. Use --precision auto.")
    pays = possible and (wish == "bf16" or (wish == "auto" and device.type == "cuda"))
    why = {"fp32": "asked for", "bf16": f"asked for; {reason}", "auto": reason}[wish]
    if possible and not pays and wish == "auto":
        # Processors without bf16 instructions emulate it, and no other was at hand to measure (log/cell.md).
        why = f"{reason}, but on a {device.type} it has not been shown to pay"
    kinds = sorted({type(part).__name__ for part in model.modules() if isinstance(part, _FAST)})
    regions = [Region(name=kind, dtype="bf16" if pays else "fp32", reason=why) for kind in kinds]
    regions += [
        Region(name=island, dtype="fp32", reason="the task declares it an island") for island in islands
    ]
    regions.append(
        Region(name="everything else", dtype="fp32", reason="parameters, losses, norms, solves, scores")
    )
    return Precision(device=device, regions=tuple(regions))


def _bf16(device: torch.device) -> tuple[bool, str]:
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return True, f"{torch.cuda.get_device_name(device)} computes bf16"
        return False, f"{torch.cuda.get_device_name(device)} does not compute bf16"
    if device.type == "cpu":
        return True, "autocast to bf16 exists on this CPU"
    return False, f"bf16 autocast is not trusted on {device.type}"


@contextmanager
def full(device: torch.device) -> Iterator[None]:
    """Compute a block in the tensors' own format, whatever the plan says."""
    with torch.autocast(device.type, enabled=False):
        yield


def protect(model: nn.Module, islands: Sequence[str], device: torch.device) -> Callable[[], None]:
    """Make the islands compute in fp32 inside an autocast region; returns what undoes it."""
    parts = dict(model.named_modules())
    originals: list[tuple[nn.Module, Callable[..., Any]]] = []
    for island in islands:
        part = parts[island]
        originals.append((part, part.forward))
        part.forward = partial(_in_fp32, part.forward, device)

    def undo() -> None:
        for part, _ in originals:
            del part.__dict__["forward"]

    return undo


def _in_fp32(forward: Callable[..., Any], device: torch.device, *arguments: Any, **named: Any) -> Any:
    with full(device):
        return forward(
            *[_up(value) for value in arguments], **{key: _up(value) for key, value in named.items()}
        )


def _up(value: Any) -> Any:
    # The layers before an island hand over what autocast has rounded.
    is_low = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_low else value


def probe(precision: Precision, losses: Callable[[AbstractContextManager[Any]], list[float]]) -> Precision:
    """Compare the losses of some batches with those in fp32; one that disagrees is withdrawn."""
    if not precision.is_mixed:
        return precision
    mixed, exact = losses(precision.forward()), losses(nullcontext())
    worst = max(abs(a - b) / max(abs(b), 1e-6) for a, b in zip(mixed, exact, strict=True))
    agrees = worst <= PROBE_TOLERANCE  # false for a NaN as well
    result = f"probe: losses differ from fp32 by {worst:.2g} at most (limit {PROBE_TOLERANCE:.2g})"
    regions = [
        replace(region, dtype="bf16" if agrees else "fp32", reason=f"{region.reason}; {result}")
        if region.dtype == "bf16"
        else region
        for region in precision.regions
    ]
    return replace(precision, regions=tuple(regions))
