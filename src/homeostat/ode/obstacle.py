"""Name what keeps the native kernel from a solve."""

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext

from homeostat.ode.chain import Chain
from homeostat.ode.march import March

# The kernel takes tableaus of up to so many stages; dopri8 has thirteen.
_MAX_STAGES = 16


def find_obstacle(y0: Tensor, march: March, gradient: str) -> str:
    """Say why the kernel cannot solve this whatever the field is, or return an empty text."""
    if reason := _bystander(y0, march.times.t):
        return reason
    if y0.dtype != torch.float32 or y0.device.type != "cpu" or y0.dim() != 2:
        return "the state is not a float32 matrix on the CPU"
    if gradient != "direct" and torch.is_grad_enabled():
        return f"gradient={gradient!r} was asked for"
    if march.times.t.requires_grad and torch.is_grad_enabled():
        return "the times need a gradient"
    if len(march.tableau.b) > _MAX_STAGES:
        return f"{march.tableau.name} has more than {_MAX_STAGES} stages"
    if march.step_size is not None and march.tableau.lands_on_times:
        return f"{march.tableau.name} lands on the observations between its fixed steps"
    return ""


def _bystander(*tensors: Tensor) -> str:
    """Name what is at work around the solve and must see every call to torch, which the kernel does not make."""
    if torch._C._are_functorch_transforms_active():
        return "a transform of torch.func is at work"
    if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
        return "torch is tracing the solve"
    if any(_is_dual(x) for x in tensors):
        return "a derivative is carried forward"
    foreign = [mode for mode in _get_current_function_mode_stack() if not isinstance(mode, DeviceContext)]
    if foreign or torch._C._len_torch_dispatch_stack():
        return "a mode of torch watches the calls of the field"
    return ""


def _is_dual(x: Tensor) -> bool:
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(x).tangent is not None


def find_misfit(chain: Chain, y0: Tensor) -> str:
    """Say why the kernel cannot solve this chain from this state, or return an empty text."""
    if any(p.dtype != torch.float32 or p.device.type != "cpu" for p in chain.parameters):
        return "the field's weights are not float32 on the CPU"
    if any(map(_is_dual, chain.parameters)):
        return "a derivative is carried forward"
    if chain.widths[-1] != y0.shape[1]:
        return "the field's layers do not fit the state"
    return ""
