"""Around a fault of oneDNN, by which PyTorch convolves on CPUs (https://github.com/uxlfoundation/oneDNN/issues/6035).

The backward pass of a strided 1x1 convolution of few channels writes beyond its workspace where memory is
channels-last: a crash at best. Seen with 8 channels of 56x56 and more, torch 2.15.
"""

import torch
from torch import nn

BLOCK = 16  # channels that oneDNN takes at once, at most


def guard_narrow_convolutions(model: nn.Module) -> None:
    """Let the convolutions that the fault can meet see (B, C, H, W) in contiguous memory on a CPU.

    What they give is channels-last again, as all around them is.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and can_meet_the_fault(module):
            module.register_forward_pre_hook(_contiguous)
            module.register_forward_hook(_channels_last)


def can_meet_the_fault(convolution: nn.Conv2d) -> bool:
    """Whether the weight, too, must stay out of channels-last memory."""
    pointwise = convolution.kernel_size == (1, 1) and convolution.stride != (1, 1)
    return pointwise and convolution.in_channels // convolution.groups < BLOCK


def _contiguous(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(each if each.is_cuda else each.contiguous() for each in inputs)


def _channels_last(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
    return output if output.is_cuda else output.contiguous(memory_format=torch.channels_last)
