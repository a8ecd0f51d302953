"""Non-local blocks (Wang et al., CVPR 2018, https://arxiv.org/abs/1711.07971) in the places of TSM's code."""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

# Which blocks of which stage are followed by one: layer2 and layer3 of ResNet-50, as in TSM-R50-NL.
PLACES: dict[int, tuple[int, ...]] = {1: (0, 2), 2: (0, 2, 4)}


class NonLocal(nn.Module):
    """Embedded Gaussian over all places and times: (B * num_segments, C, H, W) -> the same shape.

    x + bn(out(softmax(theta(x) phi(x)^T) g(x))) with C / 2 channels inside; phi and g see 2x2-pooled pictures. The
    batch norm starts at 0, so the block starts as the identity. `num_segments` is set by the method before each call.
    """

    def __init__(self, channels: int, *, num_segments: int) -> None:
        super().__init__()
        self.num_segments = num_segments
        inner = max(1, channels // 2)
        self.theta = nn.Conv3d(channels, inner, 1)
        self.phi = nn.Conv3d(channels, inner, 1)
        self.g = nn.Conv3d(channels, inner, 1)
        self.pool = nn.MaxPool3d((1, 2, 2))
        self.out = nn.Conv3d(inner, channels, 1)
        self.bn = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.bn.weight)
        nn.init.zeros_(self.bn.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        clips = x.unflatten(0, (-1, self.num_segments)).transpose(1, 2)  # B C T H W
        theta = self.theta(clips)
        query, key, value = (_tokens(part) for part in (theta, self.pool(self.phi(clips)), self.pool(self.g(clips))))
        seen = scaled_dot_product_attention(query, key, value, scale=1.0)  # B 1 THW C/2
        seen = seen.squeeze(1).transpose(1, 2).unflatten(2, theta.shape[2:])
        return (clips + self.bn(self.out(seen))).transpose(1, 2).flatten(0, 1)


def _tokens(x: torch.Tensor) -> torch.Tensor:
    """(B, C, T, H, W) -> (B, 1, T * H * W, C), one head."""
    return x.flatten(2).transpose(1, 2).unsqueeze(1)
