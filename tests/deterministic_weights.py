"""Weights that depend on nothing but their names, so that two programs can fill the same network alike.

The rule is that of ../shared/parity, with our names for the tensors.
"""

import zlib

import torch
from torch import nn


def deterministic(name: str, shape: torch.Size, gain: float) -> torch.Tensor:
    """Standard normal numbers seeded by the name, scaled by what the tensor is."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    numbers = torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
    if name.endswith("running_var"):
        return 1 + 0.1 * numbers.abs()
    if len(shape) >= 2:
        return numbers * (gain * shape[0] / numbers.numel()) ** 0.5
    return 1 + 0.1 * numbers if name.endswith(".weight") else 0.1 * numbers


def fill(method: nn.Module, *, gain: float = 1) -> nn.Module:
    """Give every tensor its deterministic value; in evaluation mode. A gain of 2 keeps MobileNets' signals alive."""
    state = method.state_dict()
    method.load_state_dict({name: deterministic(name, each.shape, gain) for name, each in state.items()})
    return method.eval()


def structured_clips(*, clips: int, frames: int, side: int) -> torch.Tensor:
    """Float (clips, frames, 3, side, side): 4x4 blocks of random colour per frame, so that time and place matter."""
    colours = torch.randn(clips, frames, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return colours.repeat_interleave(side // 4, 3).repeat_interleave(side // 4, 4)


def relative_difference(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """Largest difference / largest value wanted."""
    got, wanted = got.detach().double(), wanted.detach().double()
    return float((got - wanted).abs().max() / wanted.abs().max())
