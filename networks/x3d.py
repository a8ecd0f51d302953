"""X3D: a tiny 2D network expanded in depth, width, time and space (Feichtenhofer, CVPR 2020, arXiv:2004.04730)."""

import math

import torch
from torch import nn

from networks.block3d import check_sizes, pool_positions
from networks.channels import round_to_8
from networks.resnet3d import VideoNetwork

STEM_CHANNELS = 12  # before the width factor, as all widths here
STAGES = ((1, 12), (2, 24), (5, 48), (3, 96))  # blocks before the depth factor, channels
WIDTH_FACTOR = 2.0
BOTTLENECK = 2.25  # inner channels of a block / its outer ones
SQUEEZE = 1 / 16
FEATURES = 2048


class SqueezeExcitation(nn.Module):
    """Channels weighted by what the whole clip holds (Hu et al., CVPR 2018): (N, C, T, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = round_to_8(channels * SQUEEZE)
        self.fc1 = nn.Conv3d(channels, squeezed, 1)
        self.fc2 = nn.Conv3d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        weights = self.fc2(self.fc1(x.mean(dim=(2, 3, 4), keepdim=True)).relu())
        return x * weights.sigmoid()


class X3DBlock(nn.Module):
    """1x1x1, channelwise 3x3x3 (strides space), squeeze-excitation in every second block, Swish, 1x1x1, identity."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, squeeze: bool, shortcut_norm: bool) -> None:
        super().__init__()
        inner = int(BOTTLENECK * out_channels)
        self.conv1 = nn.Conv3d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(inner)
        self.conv2 = nn.Conv3d(inner, inner, 3, (1, stride, stride), 1, groups=inner, bias=False)
        self.bn2 = nn.BatchNorm3d(inner)
        self.se = SqueezeExcitation(inner) if squeeze else nn.Identity()
        self.swish = nn.SiLU(inplace=True)
        self.conv3 = nn.Conv3d(inner, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            layers: list[nn.Module] = [nn.Conv3d(in_channels, out_channels, 1, (1, stride, stride), bias=False)]
            layers += [nn.BatchNorm3d(out_channels)] if shortcut_norm else []
            self.downsample = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, T, H, W) -> (N, out_channels, T, H / stride, W / stride)."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.swish(self.se(self.bn2(self.conv2(out))))
        return self.relu(self.bn3(self.conv3(out)).add_(identity))


class X3DNetwork(VideoNetwork):
    """Frames (N, C, T, H, W) -> features (N, feature_dim).

    `depth_factor` multiplies the blocks: 2.2 in XS, S and M, which differ in the clip only, 5.0 in L.
    `res2_shortcut_norm`: res2's shortcut, which strides but keeps its channels, has a batch norm (PySlowFast,
    mmaction2) or none (pytorchvideo). `head_pool` is the side of the head's window (`pool_positions`).
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        depth_factor: float = 2.2,
        res2_shortcut_norm: bool = True,
        head_pool: int = 7,
    ) -> None:
        super().__init__()
        check_sizes(head_pool=head_pool)
        if depth_factor <= 0:
            raise ValueError(f"depth_factor: got {depth_factor}, needs a number above 0")
        self.head_pool = head_pool
        channels = round_to_8(STEM_CHANNELS * WIDTH_FACTOR)
        self.stem = nn.Sequential(
            nn.Conv3d(in_channels, channels, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False),
            nn.Conv3d(channels, channels, (5, 1, 1), 1, (2, 0, 0), groups=channels, bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.ModuleList()
        for number, (count, base_channels) in enumerate(STAGES):
            out_channels = round_to_8(base_channels * WIDTH_FACTOR)
            stage = nn.Sequential()
            for index in range(math.ceil(count * depth_factor)):
                stage.append(
                    X3DBlock(
                        channels,
                        out_channels,
                        stride=2 if index == 0 else 1,
                        squeeze=index % 2 == 0,
                        shortcut_norm=number > 0 or res2_shortcut_norm,
                    )
                )
                channels = out_channels
            self.stages.append(stage)
        inner = int(BOTTLENECK * channels)
        self.head_conv = nn.Conv3d(channels, inner, 1, bias=False)
        self.head_bn = nn.BatchNorm3d(inner)
        self.head_linear = nn.Linear(inner, FEATURES, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.feature_dim = FEATURES
        _initialise(self)

    def positions(self, frames: torch.Tensor) -> torch.Tensor:
        """Features at each position of the head's window."""
        x = self.stem(frames)
        for stage in self.stages:
            x = stage(x)
        x = self.relu(self.head_bn(self.head_conv(x)))
        return self.head_linear(pool_positions(x, self.head_pool)).relu()

    def last_maps(self) -> list[nn.Module]:
        """The last stage."""
        return [self.stages[-1]]


def _initialise(network: nn.Module) -> None:
    """He initialisation; the last batch norm of each block starts at 0, so that a block starts as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, X3DBlock):
            nn.init.zeros_(module.bn3.weight)
