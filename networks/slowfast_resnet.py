"""The two-pathway 3D ResNet of SlowFast (Feichtenhofer et al., ICCV 2019, https://arxiv.org/abs/1812.03982)."""

from functools import partial

import torch
from torch import nn

from networks.block3d import DEPTHS, Stage3d, check_sizes, conv3d, initialise3d, pool_positions, stem3d

SLOW_TEMPORAL_KERNELS = (1, 1, 3, 3)  # of the first convolution of res2 to res5's blocks
FAST_TEMPORAL_KERNELS = (3, 3, 3, 3)
FUSED_CHANNELS = 2  # a lateral connection gives the slow pathway twice the fast one's channels


class Lateral(nn.Module):
    """Fast to slow: a time-strided convolution, and batch norm and ReLU unless `norm` is False.

    (N, C, alpha * T, H, W) -> (N, 2 C, T, H, W).
    """

    def __init__(self, channels: int, *, alpha: int, kernel: int, norm: bool) -> None:
        super().__init__()
        self.conv = conv3d(channels, FUSED_CHANNELS * channels, (kernel, 1, 1), (alpha, 1, 1))
        self.bn = nn.BatchNorm3d(FUSED_CHANNELS * channels) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True) if norm else nn.Identity()

    def forward(self, fast: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.relu(self.bn(self.conv(fast)))


class SlowFastResNet(nn.Module):
    """Slow frames (N, C, T / alpha, H, W) and fast frames (N, C, T, H, W) -> features (N, feature_dim), slow first.

    The fast pathway has 1 / `beta` of the slow one's channels. Lateral convolutions span `fusion_kernel` frames (5 for
    4x16, 7 for 8x8); `lateral_norm` False leaves out their batch norm and ReLU, as mmaction2 does.
    `slow_res4_blocks` and `fast_res4_blocks`: how many blocks of res4 look at neighbours in time, the first ones;
    0: all (6 of 23 in the R101 of 16x8). `head_pool` is the side of the head's window (`pool_positions`).
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
        lateral_norm: bool = True,
        slow_res4_blocks: int = 0,
        fast_res4_blocks: int = 0,
        head_pool: int = 7,
    ) -> None:
        super().__init__()
        _check(alpha=alpha, width=width, beta=beta, fusion_kernel=fusion_kernel)
        check_sizes(head_pool=head_pool)
        bottleneck, counts = DEPTHS[depth]
        _check_res4_blocks(counts[2], slow_res4_blocks=slow_res4_blocks, fast_res4_blocks=fast_res4_blocks)
        expansion = 4 if bottleneck else 1
        slow, fast = width, width // beta
        self.head_pool = head_pool
        self.slow_stem, self.fast_stem = stem3d(slow, 1, in_channels), stem3d(fast, 5, in_channels)
        self.laterals, self.slow_stages, self.fast_stages = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for number, count in enumerate(counts):
            self.laterals.append(Lateral(fast, alpha=alpha, kernel=fusion_kernel, norm=lateral_norm))
            fused, planes = slow + FUSED_CHANNELS * fast, width * 2**number
            stage = partial(Stage3d, stride=1 if number == 0 else 2, bottleneck=bottleneck)
            slow_kernels = _kernels(SLOW_TEMPORAL_KERNELS[number], count, slow_res4_blocks if number == 2 else 0)
            fast_kernels = _kernels(FAST_TEMPORAL_KERNELS[number], count, fast_res4_blocks if number == 2 else 0)
            self.slow_stages.append(stage(fused, planes, temporal_kernels=slow_kernels))
            self.fast_stages.append(stage(fast, planes // beta, temporal_kernels=fast_kernels))
            slow, fast = planes * expansion, planes // beta * expansion
        self.feature_dim = slow + fast
        initialise3d(self)

    def positions(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        """Features (N, P, feature_dim) at each of the P positions of the head's window."""
        slow, fast = self.slow_stem(slow), self.fast_stem(fast)
        for lateral, slow_stage, fast_stage in zip(self.laterals, self.slow_stages, self.fast_stages):
            slow = slow_stage(torch.cat([slow, lateral(fast)], dim=1))
            fast = fast_stage(fast)
        return torch.cat([pool_positions(slow, self.head_pool), pool_positions(fast, self.head_pool)], dim=2)

    def last_maps(self) -> list[nn.Module]:
        """The modules with the last feature maps, (N, C, T, H, W): the slow pathway's, the fast one's."""
        return [self.slow_stages[-1], self.fast_stages[-1]]

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.positions(slow, fast).mean(dim=1)


def _kernels(temporal_kernel: int, count: int, looking: int) -> list[int]:
    """Temporal kernels of `count` blocks, of which the first `looking` (0: all) look at neighbours in time."""
    return [temporal_kernel if looking == 0 or index < looking else 1 for index in range(count)]


def _check_res4_blocks(count: int, **blocks: int) -> None:
    for name, number in blocks.items():
        if not 0 <= number <= count:
            raise ValueError(f"{name}: got {number}, needs 0 (all) to {count}, the blocks of res4")


def _check(*, alpha: int, width: int, beta: int, fusion_kernel: int) -> None:
    if width < 1:
        raise ValueError(f"width: got {width}, needs at least 1")
    if alpha < 1:
        raise ValueError(f"alpha: got {alpha}, needs at least 1")
    if beta < 1 or width % beta != 0:
        raise ValueError(f"beta: got {beta}, needs a divisor of the width {width}")
    if fusion_kernel < 1 or fusion_kernel % 2 == 0:
        raise ValueError(f"fusion_kernel: got {fusion_kernel}, needs an odd number: an even one has no middle frame")
