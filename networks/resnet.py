"""ResNet for images (He et al., CVPR 2016, https://arxiv.org/abs/1512.03385), with torchvision's parameter names.

The stride of a bottleneck lies in its 3x3 convolution ("v1.5"), as in torchvision's published weights.
"""

import torch
from torch import nn

from networks.image_network import ImageNetwork


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the identity: (N, C, H, W) -> (N, channels, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.before_first_conv: nn.Module = nn.Identity()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _projection(in_channels, channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(self.before_first_conv(x))))
        out = self.bn2(self.conv2(out))
        return self.relu(out.add_(identity))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and the identity: (N, C, H, W) -> (N, 4 * channels, H / stride, W / stride)."""

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = channels * self.expansion
        self.before_first_conv: nn.Module = nn.Identity()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(in_channels, out_channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(self.before_first_conv(x))))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out.add_(identity))


def _projection(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(ImageNetwork):
    """Images (N, in_channels, H, W) -> pooled features (N, feature_dim); no classifier.

    `width` is the number of channels of the stem (64 as published; less gives a thin network).
    """

    def __init__(self, *, depth: int, in_channels: int = 3, width: int = 64) -> None:
        super().__init__()
        block, counts = DEPTHS[depth]
        if width < 1:
            raise ValueError(f"width: got {width}, needs at least 1")
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = width
        for number, count in enumerate(counts):
            stage = []
            for index in range(count):
                stride = 2 if number > 0 and index == 0 else 1
                stage.append(block(channels, width * 2**number, stride))
                channels = width * 2**number * block.expansion
            self.add_module(f"layer{number + 1}", nn.Sequential(*stage))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.feature_dim = channels
        _initialise(self)

    @property
    def stages(self) -> list[nn.Sequential]:
        """The four stages, layer1 to layer4."""
        return [self.get_submodule(f"layer{number}") for number in (1, 2, 3, 4)]  # type: ignore[misc]

    @property
    def first_conv(self) -> nn.Conv2d:
        """The convolution that sees the input."""
        return self.conv1

    def residual_blocks(self) -> list[list[nn.Module]]:
        """Blocks per stage, each with a slot `before_first_conv` in its residual branch."""
        return [list(stage) for stage in self.stages]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in self.stages:
            x = stage(x)
        return self.avgpool(x).flatten(1)


def _initialise(network: nn.Module) -> None:
    """He initialisation by fan-out, as torchvision's."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
