"""A network in the units of the data: what is fitted on the training cells travels inside the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from homeostat.data.ragged import Array
from homeostat.data.scaling import Scaler
from homeostat.methods.seat import OWN, Seat, own_network
from homeostat.recipes.battery.attention import AttentionLSTM, width_for
from homeostat.recipes.battery.config import ModelConfig
from homeostat.recipes.battery.model import NeuralODEModel, Trace
from homeostat.recipes.battery.track import Batch, Track

LATENT_ODE, LSTM = "latent-ode", "lstm-attention"
NETWORKS = (LATENT_ODE, LSTM)


class Own(nn.Module):
    """A network of one's own, which solves no equation."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def trace(self, x: Tensor, t: Tensor, seen: Tensor, valid: Tensor) -> Trace:
        """Ask the network for its outputs (B, T)."""
        nothing = torch.zeros(len(x), device=x.device)
        return Trace(output=self.network(x, t, seen, valid), solver_steps=nothing, evaluations=nothing)


class Scaled(nn.Module):
    """Scales inputs, times and outputs around a network. A missing input becomes its training mean."""

    def __init__(self, network: NeuralODEModel | AttentionLSTM | Own, inputs: int, *, relative: bool) -> None:
        super().__init__()
        self.network = network
        self.relative = relative
        """Outputs are changes since the last step seen, added to the track's base."""
        self.x_shift: Tensor
        self.x_scale: Tensor
        self.y_shift: Tensor
        self.y_scale: Tensor
        self.t_scale: Tensor
        self.register_buffer("x_shift", torch.zeros(inputs))
        self.register_buffer("x_scale", torch.ones(inputs))
        self.register_buffer("y_shift", torch.zeros(()))
        self.register_buffer("y_scale", torch.ones(()))
        self.register_buffer("t_scale", torch.ones(()))

    def forward(self, batch: Batch) -> Trace:
        """Outputs (B, T) in units of the target."""
        x = torch.nan_to_num((batch.x - self.x_shift) / self.x_scale)
        seen = batch.seen & torch.isfinite(batch.x).any(dim=-1)
        x = torch.where(batch.valid[..., None], x, 0.0)
        traced = self.network.trace(x, batch.t / self.t_scale, seen, batch.valid)
        output = traced.output
        if self.relative:
            last = (seen * torch.arange(x.shape[1], device=x.device)).amax(dim=1, keepdim=True)
            output = batch.base[:, None] + self.y_scale * (output - output.gather(1, last))
        else:
            output = self.y_shift + self.y_scale * output
        return Trace(output=output, solver_steps=traced.solver_steps, evaluations=traced.evaluations)

    def fit_scale(self, scale: Scale) -> Scaled:
        """Take over what was fitted on the training cells."""
        for name, value in vars(scale).items():
            if name != "scaler":
                getattr(self, name).copy_(torch.as_tensor(value))
        return self


class Scale:
    """Shift and scale of inputs, target and time, fitted on training tracks alone."""

    def __init__(self, tracks: Sequence[Track], names: Sequence[str], *, relative: bool) -> None:
        cells = [track.cell for track in tracks]
        self.scaler = Scaler.fit(_seen_inputs(tracks), names=names, ids=cells)
        targets = np.concatenate([track.target[np.isfinite(track.target)] for track in tracks])
        self.x_shift, self.x_scale = self.scaler.shift, self.scaler.scale
        self.y_shift = float(targets.mean())
        self.y_scale = float(targets.std()) if targets.std() > 0 else 1.0
        if relative:
            self.y_shift = 0.0
        # A tenth of the longest record: the shortest intervals do not vanish, the longest solve is about ten units.
        self.t_scale = max(float(track.time[-1] - track.time[0]) for track in tracks) / 10 or 1.0


def _seen_inputs(tracks: Sequence[Track]) -> Array:
    return np.concatenate([track.inputs[track.seen] for track in tracks])


def build(kind: str, config: ModelConfig, inputs: int, *, relative: bool, reach: int) -> Scaled:
    """The model of the recipe, or the yard-stick with about as many parameters, which looks `reach` steps back."""
    ode = NeuralODEModel(
        inputs,
        config.latent_dim,
        config.hidden_dim,
        solver=config.solver,
        rtol=config.rtol,
        atol=config.atol,
        step_size=config.step_size,
        use_adjoint=config.use_adjoint,
    )
    if kind == LATENT_ODE:
        return Scaled(ode, inputs, relative=relative)
    if kind == OWN:
        return Scaled(Own(own_network(config.network, seat(ode, inputs))), inputs, relative=relative)
    budget = sum(parameter.numel() for parameter in ode.parameters())
    return Scaled(AttentionLSTM(inputs, width_for(budget, inputs), reach=reach), inputs, relative=relative)


def seat(ode: NeuralODEModel, inputs: int) -> Seat:
    """The place of the latent ODE: three tracks of six steps, of which the last one of a track was not seen."""
    x, t = torch.zeros(3, 6, inputs), torch.arange(6.0).expand(3, 6)
    valid = torch.ones(3, 6, dtype=torch.bool)
    seen = valid.clone()
    seen[:, -1] = False
    with torch.no_grad():
        output = ode.trace(x, t, seen, valid).output
    return Seat(
        sizes={"inputs": inputs},
        inputs={"x": x, "t": t, "seen": seen, "valid": valid},
        output=output,
        meaning="one number per step of a track, in standard deviations of the target",
    )
