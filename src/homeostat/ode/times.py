"""Check once, at the border, the times at which each sample starts, is observed and ends."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Times:
    """Observation times (B, T) of a batch, in double precision; a sample's first time is where its `y0` lives."""

    t: Tensor
    """Masked entries repeat the last time observed before them, so that every row is monotone."""
    mask: Tensor
    """True where there is an observation."""
    dtype: torch.dtype
    """The precision in which the field is given its times."""

    @property
    def start(self) -> Tensor:
        return self.t[:, 0]

    @property
    def end(self) -> Tensor:
        return self.t[:, -1]

    @property
    def shortest_step(self) -> Tensor:
        """Return the step (B,) that the times cannot resolve; from a late start, those of the field are coarser."""
        span, late = (self.end - self.start).abs(), torch.maximum(self.start.abs(), self.end.abs())
        return 4 * torch.maximum(torch.finfo(self.dtype).eps * span, torch.finfo(self.t.dtype).eps * late)

    @property
    def direction(self) -> Tensor:
        return torch.where(self.end < self.start, -1, 1).to(self.t.dtype)


def read_times(t: Tensor, y0: Tensor, mask: Tensor | None) -> Times:
    """Read the times of every sample from `t` of shape (T,) or (B, T); refuse what cannot be a time grid."""
    if not isinstance(t, Tensor):
        raise TypeError(f"t is {type(t).__name__}; times must be a tensor (torch.tensor(t)).")
    if t.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"t has dtype {t.dtype}; times must be float32 or float64 (t.double()).")
    if t.dim() not in (1, 2) or t.shape[-1] < 2:
        raise ValueError(
            f"t has shape {tuple(t.shape)}; expected (T,) or (batch, T) with at least two times."
        )
    batch = y0.shape[0]
    if t.dim() == 2 and t.shape[0] != batch:
        raise ValueError(f"t has {t.shape[0]} rows but y0 has {batch} samples; give each sample its own row.")
    shape = (batch, t.shape[-1])
    dtype = torch.promote_types(t.dtype, y0.dtype)
    # In single precision t + h is rounded, while the state moves by h. Apple's GPU has nothing better.
    inside = torch.float32 if y0.device.type == "mps" else torch.float64
    t = t.to(y0.device, inside).expand(shape)
    valid = torch.ones(shape, dtype=torch.bool, device=t.device) if mask is None else _read_mask(mask, t)
    _require_finite(t, valid)
    t = t if mask is None else _carry_forward(t, valid)
    _require_monotone(t)
    return Times(t=t, mask=valid, dtype=dtype)


def _read_mask(mask: Tensor, t: Tensor) -> Tensor:
    if mask.dtype != torch.bool or mask.shape not in (t.shape, t.shape[1:]):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)} and dtype {mask.dtype}; expected bool of {tuple(t.shape)}."
        )
    valid = mask.to(t.device).expand(t.shape)
    missing = torch.nonzero(~valid[:, 0]).flatten().tolist()
    if missing:
        raise ValueError(
            f"mask hides the first time of sample {missing[0]}, but y0 is the state at the first time. "
            "Put the start time first and leave it unmasked."
        )
    return valid


def _carry_forward(t: Tensor, valid: Tensor) -> Tensor:
    position = torch.arange(t.shape[1], device=t.device).expand(t.shape)
    latest = torch.where(valid, position, torch.zeros_like(position)).cummax(dim=1).values
    return t.gather(1, latest)


def _require_finite(t: Tensor, valid: Tensor) -> None:
    finite = torch.isfinite(t) | ~valid
    if not bool(finite.all()):
        bad = torch.nonzero(~finite)
        sample, index = bad[0].tolist()
        raise ValueError(
            f"t[{sample}, {index}] is {t[sample, index].item()}; times must be finite, or masked."
        )


def _require_monotone(t: Tensor) -> None:
    if t.shape[1] == 2:
        return
    gaps = t.diff(dim=1)
    mixed = (gaps > 0).any(dim=1) & (gaps < 0).any(dim=1)
    bad = torch.nonzero(mixed).flatten().tolist()
    if bad:
        row = gaps[bad[0]]
        turn = int(torch.nonzero(row * row[row != 0][0] < 0)[0])
        before, after = t[bad[0], turn].item(), t[bad[0], turn + 1].item()
        raise ValueError(
            f"Times of sample {bad[0]} turn round: {before:g} is followed by {after:g}. "
            "Sort each row (increasing, or decreasing to solve backwards)."
        )


def divide(legs: Tensor, step_size: float) -> Tensor:
    """Cut each leg, between two columns of `legs`, into equal steps no longer than `step_size`.

    Rows with fewer steps than the longest repeat their end.
    """
    gaps = legs.detach().diff(dim=1)
    counts = (gaps.abs() / step_size - 1e-6).ceil().long().maximum((gaps != 0).long())
    done = counts.cumsum(dim=1)
    index = torch.arange(1, int(done[:, -1].max()) + 1, device=legs.device).expand(len(legs), -1).contiguous()
    leg = torch.searchsorted(done, index).clamp_max(gaps.shape[1] - 1)
    share = (index - (done - counts).gather(1, leg)).to(legs.dtype) / counts.gather(1, leg).clamp_min(1)
    begin, end = legs[:, :-1].gather(1, leg), legs[:, 1:].gather(1, leg)
    return torch.cat([legs[:, :1], torch.where(share < 1, begin + share * (end - begin), end)], dim=1)
