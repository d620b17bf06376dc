"""The yard-stick network: an LSTM with causal attention over what it has read, as long-sequence papers use it.

Shapes: B tracks, T steps, F inputs, H hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from homeostat.recipes.battery.model import Trace, gaps_of


class AttentionLSTM(nn.Module):
    """Reads inputs, whether they were seen, and the time since the step before; sees nothing later than a step."""

    def __init__(self, input_dim: int, hidden_dim: int, *, reach: int, heads: int = 4) -> None:
        super().__init__()
        self.reach = reach
        """Steps back that are attended to: those of a training window, for more would be new to it."""
        self.lstm = nn.LSTM(input_dim + 2, hidden_dim, batch_first=True)
        self.attention = nn.MultiheadAttention(hidden_dim, heads, batch_first=True)
        self.norm = nn.LayerNorm(hidden_dim)
        self.head = nn.Sequential(nn.Linear(hidden_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 1))

    def trace(self, x: Tensor, t: Tensor, seen: Tensor, valid: Tensor) -> Trace:
        """Padding stands at the end, so nothing that is causal can read it."""
        known = torch.where(seen[..., None], x, 0.0)
        read, _ = self.lstm(
            torch.cat([known, seen[..., None].float(), torch.log1p(gaps_of(t, valid))[..., None]], -1)
        )
        everything = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device)
        hidden = everything.triu(1) | everything.tril(-self.reach)
        attended, _ = self.attention(read, read, read, attn_mask=hidden, need_weights=False)
        output = self.head(self.norm(read + attended))[..., 0]
        nothing = torch.zeros(len(x), device=x.device)
        return Trace(output=output, solver_steps=nothing, evaluations=nothing)


def width_for(parameters: int, input_dim: int, heads: int = 4) -> int:
    """The hidden width at which the LSTM has about as many parameters as the model it is compared with."""
    width = heads
    while _count(width + heads, input_dim) <= parameters:
        width += heads
    return width


def _count(width: int, input_dim: int) -> int:
    lstm = 4 * width * (input_dim + 2 + width + 2)
    attention = 4 * width * width + 4 * width
    return lstm + attention + 2 * width + width * width + 2 * width + 1
