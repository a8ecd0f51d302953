"""Pooling over time inside a 2D network, an option of TSM's code (Lin et al., https://arxiv.org/abs/1811.08383)."""

import torch
from torch import nn
from torch.nn.functional import max_pool3d


class TemporalPool(nn.Module):
    """The largest of three neighbouring segments at every second: (B * T, C, H, W) -> (B * T / 2, C, H, W).

    T, even, is `num_segments`, set by the method before each call.
    """

    def __init__(self, *, num_segments: int) -> None:
        super().__init__()
        self.num_segments = num_segments

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        clips = x.unflatten(0, (-1, self.num_segments)).transpose(1, 2)  # B C T H W
        pooled = max_pool3d(clips, kernel_size=(3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0))
        return pooled.transpose(1, 2).flatten(0, 1)
