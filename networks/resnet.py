"""ResNet for images (He et al., CVPR 2016, https://arxiv.org/abs/1512.03385), with torchvision's parameter names.

The stride of a bottleneck lies in its 3x3 convolution ("v1.5"), as in torchvision's published weights. ResNeXt (Xie et
al., CVPR 2017, https://arxiv.org/abs/1611.05431) and wide ResNet (Zagoruyko and Komodakis, BMVC 2016,
https://arxiv.org/abs/1605.07146) differ in that convolution only: its groups and its width.

Each block has three slots that do nothing until a method fills them: `before_block` (the identity sees it too),
`before_first_conv` (the residual branch alone), `non_local` (after the block).
"""

import torch
from torch import nn

from networks.image_network import ImageNetwork


class Block(nn.Module):
    """What both kinds of blocks have: the slots, and the number of channels that comes out."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.before_block: nn.Module = nn.Identity()
        self.before_first_conv: nn.Module = nn.Identity()
        self.non_local: nn.Module = nn.Identity()


class BasicBlock(Block):
    """Two 3x3 convolutions and the identity: (N, C, H, W) -> (N, channels, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, in_channels: int, channels: int, *, stride: int) -> None:
        super().__init__(channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _projection(in_channels, channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = self.before_block(x)
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(self.before_first_conv(x))))
        out = self.bn2(self.conv2(out))
        return self.non_local(self.relu(out.add_(identity)))


class Bottleneck(Block):
    """1x1, 3x3, 1x1 convolutions and the identity: (N, C, H, W) -> (N, 4 * channels, H / stride, W / stride).

    The 3x3 convolution has `groups` groups and channels * groups * base_width / 64 channels.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, *, stride: int, groups: int = 1, base_width: int = 64) -> None:
        super().__init__(channels * self.expansion)
        inner = channels * base_width // 64 * groups
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, self.out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _projection(in_channels, self.out_channels, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = self.before_block(x)
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(self.before_first_conv(x))))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.non_local(self.relu(out.add_(identity)))


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

    `width` is the number of channels of the stem (64 as published; less gives a thin network); `groups` and
    `base_width` make a ResNeXt or a wide ResNet of a network of bottlenecks.
    """

    def __init__(
        self, *, depth: int, in_channels: int = 3, groups: int = 1, base_width: int = 64, width: int = 64
    ) -> None:
        super().__init__()
        block, counts = DEPTHS[depth]
        if width < 1 or width * base_width < 64:
            raise ValueError(f"width: got {width}, needs at least {max(1, 64 // base_width)}")
        shape = {} if block is BasicBlock else {"groups": groups, "base_width": base_width}
        assert shape or (groups, base_width) == (1, 64), f"ResNet-{depth} has no bottlenecks to group or to widen"
        self.conv1 = nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        channels = width
        for number, count in enumerate(counts):
            stage = []
            for index in range(count):
                stride = 2 if number > 0 and index == 0 else 1
                stage.append(block(channels, width * 2**number, stride=stride, **shape))
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
        """Blocks per stage, each with the slots that the module's docstring lists."""
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
