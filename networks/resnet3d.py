"""3D ResNets of one pathway: slow, fast, C2D, I3D and R(2+1)D are rows of one table.

slow, fast: Feichtenhofer et al., SlowFast Networks, ICCV 2019, https://arxiv.org/abs/1812.03982
c2d, i3d: Wang et al., Non-local Neural Networks, CVPR 2018, https://arxiv.org/abs/1711.07971
r2plus1d: Tran et al., A Closer Look at Spatiotemporal Convolutions, CVPR 2018, https://arxiv.org/abs/1711.11248
"""

from typing import NamedTuple

import torch
from torch import nn

from networks.block3d import (
    DEPTHS,
    Stage3d,
    check_sizes,
    initialise3d,
    pool_positions,
    stem3d,
)


class Architecture(NamedTuple):
    """`temporal_kernels` per stage, of its blocks' first convolutions, repeated over them; `width` of the stem."""

    stem_kernel: int
    temporal_kernels: tuple[tuple[int, ...], ...]
    width: int = 64
    pool2_stride: int = 1


ARCHITECTURES = {
    "slow": Architecture(1, ((1,), (1,), (3,), (3,))),
    "fast": Architecture(5, ((3,), (3,), (3,), (3,)), width=8),
    "c2d": Architecture(1, ((1,), (1,), (1,), (1,)), pool2_stride=2),
    "i3d": Architecture(5, ((3,), (3, 1), (3, 1), (1, 3)), pool2_stride=2),
}


class VideoNetwork(nn.Module):
    """What a network for one clip offers: frames (N, C, T, H, W) -> features (N, feature_dim).

    `positions` gives the features (N, P, feature_dim) at the P places of the head's window, `forward` their mean.
    """

    feature_dim: int

    def positions(self, frames: torch.Tensor) -> torch.Tensor:
        """Features at each position of the head's window."""
        raise NotImplementedError(f"{type(self).__name__} must give its features by position")

    def last_maps(self) -> list[nn.Module]:
        """The module with the last feature maps, (N, C, T, H, W); none where the network has no maps but tokens."""
        raise NotImplementedError(f"{type(self).__name__} must name the module of its last feature maps")

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.positions(frames).mean(dim=1)


class ResNet3d(VideoNetwork):
    """Frames (N, C, T, H, W) -> features (N, feature_dim).

    Over time, the stem's convolution moves by `stem_stride`, its max-pooling by `pool1_stride`, and a max-pooling
    after res2 joins `pool2_stride` frames into one; `pool1_padding` is the stem's pooling's, in space. `head_pool` is
    the side of the head's window (`pool_positions`), 7 for 224 pixels.
    """

    def __init__(
        self,
        *,
        depth: int,
        architecture: str,
        in_channels: int = 3,
        width: int = 64,
        stem_stride: int = 1,
        pool1_stride: int = 1,
        pool1_padding: int = 1,
        pool2_stride: int = 1,
        head_pool: int = 7,
    ) -> None:
        super().__init__()
        check_sizes(width=width, stem_stride=stem_stride, pool1_stride=pool1_stride)
        check_sizes(pool1_padding=pool1_padding, pool2_stride=pool2_stride, head_pool=head_pool)
        if pool1_padding > 1:
            raise ValueError(f"pool1_padding: got {pool1_padding}, needs 0 or 1: half of its 3x3 window at most")
        bottleneck, counts = DEPTHS[depth]
        kernels = ARCHITECTURES[architecture].temporal_kernels
        self.head_pool = head_pool
        self.stem = stem3d(
            width,
            ARCHITECTURES[architecture].stem_kernel,
            in_channels,
            stride=stem_stride,
            pool_stride=pool1_stride,
            pool_padding=pool1_padding,
        )
        self.pool2 = nn.MaxPool3d((pool2_stride, 1, 1))
        self.stages = nn.ModuleList()
        channels = width
        for number, count in enumerate(counts):
            pattern = kernels[number]
            by_block = [pattern[index % len(pattern)] for index in range(count)]
            planes = width * 2**number
            self.stages.append(
                Stage3d(
                    channels,
                    planes,
                    temporal_kernels=by_block,
                    stride=1 if number == 0 else 2,
                    bottleneck=bottleneck,
                )
            )
            channels = planes * (4 if bottleneck else 1)
        self.feature_dim = channels
        initialise3d(self)

    def positions(self, frames: torch.Tensor) -> torch.Tensor:
        """Features at each position of the head's window."""
        x = self.stages[0](self.stem(frames))
        x = self.pool2(x)
        for stage in self.stages[1:]:
            x = stage(x)
        return pool_positions(x, self.head_pool)

    def last_maps(self) -> list[nn.Module]:
        """The last stage."""
        return [self.stages[-1]]


class R2Plus1DResNet(VideoNetwork):
    """R(2+1)D as bottlenecks, as pytorchvideo publishes it: frames (N, C, T, H, W) -> features (N, feature_dim).

    The middle convolution of each block is split, time first. The stem has no pooling: each stage halves space, the
    last two halve time. (The paper's own networks have basic blocks, space first: torchvision's r2plus1d_18, `clip`.)
    """

    def __init__(self, *, depth: int, in_channels: int = 3, width: int = 64, head_pool: int = 7) -> None:
        super().__init__()
        check_sizes(width=width, head_pool=head_pool)
        bottleneck, counts = DEPTHS[depth]
        assert bottleneck, f"depth: got {depth}, needs one with bottlenecks"
        self.head_pool = head_pool
        self.stem = nn.Sequential(*list(stem3d(width, 1, in_channels))[:-1])
        self.stages = nn.ModuleList()
        channels = width
        for number, count in enumerate(counts):
            planes = width * 2**number
            self.stages.append(
                Stage3d(
                    channels,
                    planes,
                    temporal_kernels=[1] * count,
                    stride=2,
                    bottleneck=True,
                    factored=True,
                    temporal_stride=2 if number > 1 else 1,
                )
            )
            channels = planes * 4
        self.feature_dim = channels
        initialise3d(self)

    def positions(self, frames: torch.Tensor) -> torch.Tensor:
        """Features at each position of the head's window."""
        x = self.stem(frames)
        for stage in self.stages:
            x = stage(x)
        return pool_positions(x, self.head_pool)

    def last_maps(self) -> list[nn.Module]:
        """The last stage."""
        return [self.stages[-1]]
