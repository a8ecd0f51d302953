"""A backward pass that ends a process without the guard: so each runs in a process of its own."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from engine.narrow_convolutions import guard_narrow_convolutions
from tests.experiments import environment
from tests.shared_material import REPOSITORY

BACKWARD = """
import torch
from torch import nn
from engine.narrow_convolutions import guard_narrow_convolutions
torch.manual_seed(0)
layer = nn.Conv2d({channels}, 16, 1, stride=2, bias=False)
guard_narrow_convolutions(layer)
clip = torch.randn(4, {channels}, 56, 56)
gradients = []
for memory_format in (torch.contiguous_format, torch.channels_last):
    layer.zero_grad()
    layer(clip.contiguous(memory_format=memory_format)).square().sum().backward()
    gradients.append(layer.weight.grad.clone())
torch.testing.assert_close(*gradients)
"""


@pytest.mark.parametrize("channels", [4, 8, 12])
def test_gradients_are_those_of_contiguous_memory(channels: int) -> None:
    start = [sys.executable, "-c", BACKWARD.format(channels=channels)]
    ended = subprocess.run(start, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("layer", "guarded"),
    [
        (nn.Conv2d(8, 16, 1, stride=2), True),
        (nn.Conv2d(32, 32, 1, stride=2, groups=4), True),
        (nn.Conv2d(16, 32, 1, stride=2), False),
        (nn.Conv2d(8, 16, 1), False),
        (nn.Conv2d(8, 16, 3, stride=2, padding=1), False),
    ],
)
def test_only_what_can_meet_the_fault_is_guarded(layer: nn.Conv2d, guarded: bool) -> None:
    seen: list[bool] = []
    guard_narrow_convolutions(layer)
    layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].is_contiguous()))
    layer(torch.zeros(1, layer.in_channels, 6, 6).contiguous(memory_format=torch.channels_last))
    assert seen == [guarded]
