"""The two-pathway 3D ResNet of SlowFast (Feichtenhofer et al., ICCV 2019, https://arxiv.org/abs/1812.03982)."""

from functools import partial

import torch
from torch import nn

DEPTHS: dict[int, tuple[bool, tuple[int, int, int, int]]] = {
    18: (False, (2, 2, 2, 2)),
    50: (True, (3, 4, 6, 3)),
    101: (True, (3, 4, 23, 3)),
}
SLOW_TEMPORAL_KERNELS = (1, 1, 3, 3)  # of the first convolution of res2 to res5's blocks
FAST_TEMPORAL_KERNELS = (3, 3, 3, 3)
FUSED_CHANNELS = 2  # a lateral connection gives the slow pathway twice the fast one's channels


def _conv(
    in_channels: int, out_channels: int, kernel: tuple[int, int, int], stride: tuple[int, int, int] = (1, 1, 1)
) -> nn.Conv3d:
    padding = (kernel[0] // 2, kernel[1] // 2, kernel[2] // 2)
    return nn.Conv3d(in_channels, out_channels, kernel, stride, padding, bias=False)


class Block3d(nn.Module):
    """A residual block over (N, C, T, H, W): a bottleneck (T x 1 x 1, 1 x 3 x 3, 1 x 1 x 1) or a basic block.

    Time is never strided; space is by `stride`, in the 3x3 convolution.
    """

    def __init__(self, in_channels: int, channels: int, *, temporal_kernel: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        out_channels = channels * 4 if bottleneck else channels
        across = (1, stride, stride)
        if bottleneck:
            self.conv1 = _conv(in_channels, channels, (temporal_kernel, 1, 1))
            self.conv2 = _conv(channels, channels, (1, 3, 3), across)
        else:
            self.conv1 = _conv(in_channels, channels, (temporal_kernel, 3, 3), across)
            self.conv2 = _conv(channels, channels, (1, 3, 3))
        self.bn1, self.bn2 = nn.BatchNorm3d(channels), nn.BatchNorm3d(channels)
        self.conv3 = _conv(channels, out_channels, (1, 1, 1)) if bottleneck else None
        self.bn3 = nn.BatchNorm3d(out_channels) if bottleneck else None
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                _conv(in_channels, out_channels, (1, 1, 1), across), nn.BatchNorm3d(out_channels)
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


class Lateral(nn.Module):
    """Fast to slow: a time-strided convolution, batch norm, ReLU; (N, C, alpha * T, H, W) -> (N, 2 C, T, H, W)."""

    def __init__(self, channels: int, *, alpha: int, kernel: int) -> None:
        super().__init__()
        self.conv = _conv(channels, FUSED_CHANNELS * channels, (kernel, 1, 1), (alpha, 1, 1))
        self.bn = nn.BatchNorm3d(FUSED_CHANNELS * channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, fast: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.relu(self.bn(self.conv(fast)))


def _stem(channels: int, temporal_kernel: int, in_channels: int) -> nn.Sequential:
    return nn.Sequential(
        _conv(in_channels, channels, (temporal_kernel, 7, 7), (1, 2, 2)),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
    )


class SlowFastResNet(nn.Module):
    """Slow frames (N, C, T / alpha, H, W) and fast frames (N, C, T, H, W) -> features (N, feature_dim), slow first.

    The fast pathway has 1 / `beta` of the slow one's channels; `fusion_kernel` is the length of the lateral
    convolutions in time (5 for 4x16, 7 for 8x8).
    """

    def __init__(
        self,
        *,
        depth: int,
        in_channels: int = 3,
        width: int = 64,
        alpha: int = 8,
        beta: int = 8,
        fusion_kernel: int = 5,
    ) -> None:
        super().__init__()
        _check(alpha=alpha, width=width, beta=beta, fusion_kernel=fusion_kernel)
        bottleneck, counts = DEPTHS[depth]
        expansion = 4 if bottleneck else 1
        slow, fast = width, width // beta
        self.slow_stem, self.fast_stem = _stem(slow, 1, in_channels), _stem(fast, 5, in_channels)
        self.laterals, self.slow_stages, self.fast_stages = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for number, count in enumerate(counts):
            self.laterals.append(Lateral(fast, alpha=alpha, kernel=fusion_kernel))
            fused = slow + FUSED_CHANNELS * fast
            planes = width * 2**number
            stage = partial(_stage, count=count, stride=1 if number == 0 else 2, bottleneck=bottleneck)
            self.slow_stages.append(stage(fused, planes, SLOW_TEMPORAL_KERNELS[number]))
            self.fast_stages.append(stage(fast, planes // beta, FAST_TEMPORAL_KERNELS[number]))
            slow, fast = planes * expansion, planes // beta * expansion
        self.feature_dim = slow + fast
        _initialise(self)

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        """See the class."""
        slow, fast = self.slow_stem(slow), self.fast_stem(fast)
        for lateral, slow_stage, fast_stage in zip(self.laterals, self.slow_stages, self.fast_stages):
            slow = slow_stage(torch.cat([slow, lateral(fast)], dim=1))
            fast = fast_stage(fast)
        return torch.cat([slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))], dim=1)


def _check(*, alpha: int, width: int, beta: int, fusion_kernel: int) -> None:
    if width < 1:
        raise ValueError(f"width: got {width}, needs at least 1")
    if alpha < 1:
        raise ValueError(f"alpha: got {alpha}, needs at least 1")
    if beta < 1 or width % beta != 0:
        raise ValueError(f"beta: got {beta}, needs a divisor of the width {width}")
    if fusion_kernel < 1 or fusion_kernel % 2 == 0:
        raise ValueError(f"fusion_kernel: got {fusion_kernel}, needs an odd number: an even one has no middle frame")


def _stage(
    in_channels: int, channels: int, temporal_kernel: int, *, count: int, stride: int, bottleneck: bool
) -> nn.Sequential:
    blocks = []
    for index in range(count):
        blocks.append(
            Block3d(
                in_channels,
                channels,
                temporal_kernel=temporal_kernel,
                stride=stride if index == 0 else 1,
                bottleneck=bottleneck,
            )
        )
        in_channels = channels * 4 if bottleneck else channels
    return nn.Sequential(*blocks)


def _initialise(network: nn.Module) -> None:
    """He initialisation; the last batch norm of each block starts at 0, so that a block starts as the identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, Block3d):
            nn.init.zeros_(module.last_bn.weight)
