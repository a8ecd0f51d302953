"""The parts that 3D ResNets share: convolution, stem, residual block, stage, pooling by positions, initialisation."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import avg_pool3d

# Per depth: bottlenecks or basic blocks, and how many of them res2 to res5 have.
DEPTHS: dict[int, tuple[bool, tuple[int, int, int, int]]] = {
    18: (False, (2, 2, 2, 2)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
}


def conv3d(
    in_channels: int, out_channels: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
) -> nn.Conv3d:
    """A convolution over (N, C, T, H, W) without bias that keeps the size at stride 1."""
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(in_channels, out_channels, kernel, stride, padding, bias=False)


class FactoredConv(nn.Sequential):
    """A 3x3x3 convolution in two (R(2+1)D): 3x1x1 over time, batch norm, ReLU, 1x3x3 over space."""

    def __init__(self, channels: int, *, temporal_stride: int, stride: int) -> None:
        super().__init__(
            conv3d(channels, channels, (3, 1, 1), (temporal_stride, 1, 1)),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
            conv3d(channels, channels, (1, 3, 3), (1, stride, stride)),
        )


class Block3d(nn.Module):
    """A residual block over (N, C, T, H, W): a bottleneck (T x 1 x 1, 1 x 3 x 3, 1 x 1 x 1) or a basic block.

    Space is strided by `stride` in the 3x3 convolution. Time is strided in `factored` bottlenecks only, whose middle
    is a `FactoredConv`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        temporal_kernel: int,
        stride: int,
        bottleneck: bool,
        factored: bool = False,
        temporal_stride: int = 1,
    ) -> None:
        super().__init__()
        assert factored or temporal_stride == 1, f"temporal_stride: got {temporal_stride}, needs a factored block"
        out_channels = channels * 4 if bottleneck else channels
        across = (temporal_stride, stride, stride)
        self.conv2: nn.Module
        if not bottleneck:
            self.conv1 = conv3d(in_channels, channels, (temporal_kernel, 3, 3), across)
            self.conv2 = conv3d(channels, channels, (1, 3, 3))
        else:
            self.conv1 = conv3d(in_channels, channels, (temporal_kernel, 1, 1))
            self.conv2 = (
                FactoredConv(channels, temporal_stride=temporal_stride, stride=stride)
                if factored
                else conv3d(channels, channels, (1, 3, 3), across)
            )
        self.bn1, self.bn2 = nn.BatchNorm3d(channels), nn.BatchNorm3d(channels)
        self.conv3 = conv3d(channels, out_channels, (1, 1, 1)) if bottleneck else None
        self.bn3 = nn.BatchNorm3d(out_channels) if bottleneck else None
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if across != (1, 1, 1) or in_channels != out_channels:
            self.downsample = nn.Sequential(
                conv3d(in_channels, out_channels, (1, 1, 1), across), nn.BatchNorm3d(out_channels)
            )

    @property
    def last_bn(self) -> nn.BatchNorm3d:
        """The batch norm in front of the sum; its weight starts at 0."""
        return self.bn2 if self.bn3 is None else self.bn3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        identity = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.conv3 is not None and self.bn3 is not None:
            out = self.bn3(self.conv3(self.relu(out)))
        return self.relu(out.add_(identity))


class Stage3d(nn.Sequential):
    """As many blocks as there are `temporal_kernels`; the first one has the strides."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        temporal_kernels: Sequence[int],
        stride: int,
        bottleneck: bool,
        factored: bool = False,
        temporal_stride: int = 1,
    ) -> None:
        super().__init__()
        for index, temporal_kernel in enumerate(temporal_kernels):
            self.append(
                Block3d(
                    in_channels,
                    channels,
                    temporal_kernel=temporal_kernel,
                    stride=stride if index == 0 else 1,
                    bottleneck=bottleneck,
                    factored=factored,
                    temporal_stride=temporal_stride if index == 0 else 1,
                )
            )
            in_channels = channels * 4 if bottleneck else channels


def stem3d(
    channels: int,
    temporal_kernel: int,
    in_channels: int,
    *,
    stride: int = 1,
    pool_stride: int = 1,
    pool_padding: int = 1,
) -> nn.Sequential:
    """T x 7 x 7 convolution, batch norm, ReLU, 1 x 3 x 3 max-pooling: (N, in_channels, T, H, W) -> a fourth of H and W.

    `stride` and `pool_stride` are over time, `pool_padding` is over space.
    """
    return nn.Sequential(
        conv3d(in_channels, channels, (temporal_kernel, 7, 7), (stride, 2, 2)),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool3d((1, 3, 3), (pool_stride, 2, 2), (0, pool_padding, pool_padding)),
    )


def pool_positions(maps: torch.Tensor, head_pool: int) -> torch.Tensor:
    """Feature maps (N, C, T, H, W) -> features (N, P, C) at P positions of an averaging window.

    The window spans all of time, and in space everything (`head_pool` 0, P = 1) or `head_pool` x `head_pool`, moved
    by 1; a map that is smaller than the window is one position.
    """
    if head_pool == 0:
        return maps.mean(dim=(2, 3, 4)).unsqueeze(1)
    window = (maps.shape[2], min(head_pool, maps.shape[3]), min(head_pool, maps.shape[4]))
    return avg_pool3d(maps, window, stride=1).flatten(2).transpose(1, 2)


def check_sizes(**sizes: int) -> None:
    """`ValueError` for a size below 1, `head_pool` and `pool1_padding` below 0."""
    for name, size in sizes.items():
        least = 0 if name in ("head_pool", "pool1_padding") else 1
        if size < least:
            raise ValueError(f"{name}: got {size}, needs at least {least}")


def initialise3d(network: nn.Module) -> None:
    """He initialisation; the last batch norm of each block starts at 0, so that a block starts as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, Block3d):
            nn.init.zeros_(module.last_bn.weight)
