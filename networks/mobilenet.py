"""MobileNetV2 (Sandler et al., CVPR 2018, https://arxiv.org/abs/1801.04381), with torchvision's parameter names."""

import torch
from torch import nn

from networks.channels import round_to_8
from networks.image_network import ImageNetwork

# expansion factor (None: the network's own `t`), output channels, blocks, stride of the first
STAGES: tuple[tuple[int | None, int, int, int], ...] = (
    (1, 16, 1, 1),
    (None, 24, 2, 2),
    (None, 32, 3, 2),
    (None, 64, 4, 2),
    (None, 96, 3, 1),
    (None, 160, 3, 2),
    (None, 320, 1, 1),
)


class ConvBNReLU(nn.Sequential):
    """Convolution without bias, batch norm, ReLU6; the picture keeps its size at stride 1."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU6(inplace=True),
        )


class InvertedResidual(nn.Module):
    """Expand by `t`, depthwise 3x3, project; the identity where shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, t: int) -> None:
        super().__init__()
        hidden = in_channels * t
        self.before_first_conv: nn.Module = nn.Identity()
        self.expanded = t != 1
        self.has_identity = stride == 1 and in_channels == out_channels
        layers: list[nn.Module] = [ConvBNReLU(in_channels, hidden, 1)] if self.expanded else []
        layers += [
            ConvBNReLU(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, out_channels, H / stride, W / stride)."""
        out = self.conv(self.before_first_conv(x))
        return out.add_(x) if self.has_identity else out


class MobileNetV2(ImageNetwork):
    """Images (N, in_channels, H, W) -> pooled features (N, feature_dim); no classifier.

    `t` is the expansion factor of all blocks but the first, `width` multiplies every number of channels.
    """

    def __init__(self, *, in_channels: int = 3, t: int = 6, width: float = 1.0) -> None:
        super().__init__()
        if t < 1:
            raise ValueError(f"t: got {t}, needs at least 1")
        if not 0 < width < float("inf"):
            raise ValueError(f"width: got {width}, needs a number above 0")
        channels = round_to_8(32 * width)
        self.feature_dim = round_to_8(1280 * max(1.0, width))
        layers: list[nn.Module] = [ConvBNReLU(in_channels, channels, 3, stride=2)]
        self._stage_of_block: list[int] = []
        for number, (expansion, base_channels, count, stride) in enumerate(STAGES):
            out_channels = round_to_8(base_channels * width)
            for index in range(count):
                layers.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        stride=stride if index == 0 else 1,
                        t=t if expansion is None else expansion,
                    )
                )
                channels = out_channels
                self._stage_of_block.append(number)
        layers.append(ConvBNReLU(channels, self.feature_dim, 1))
        self.features = nn.Sequential(*layers)
        _initialise(self)

    @property
    def first_conv(self) -> nn.Conv2d:
        """The convolution that sees the input."""
        return self.features.get_submodule("0.0")  # type: ignore[return-value]

    def residual_blocks(self) -> list[list[nn.Module]]:
        """Per stage, the blocks that expand and have an identity, each with a slot `before_first_conv`."""
        stages: list[list[nn.Module]] = [[] for _ in STAGES]
        for number, block in zip(self._stage_of_block, self.features[1:-1]):
            if block.expanded and block.has_identity:
                stages[number].append(block)
        return stages

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.features(x).mean(dim=(2, 3))


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
