"""What every network for pictures offers beside `forward`."""

from torch import nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageNetwork(nn.Module):
    """(N, in_channels, H, W) -> pooled features (N, feature_dim); `mean` and `std` of the colours it was trained on."""

    feature_dim: int
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @property
    def first_conv(self) -> nn.Conv2d:
        """The convolution that sees the input."""
        raise NotImplementedError(f"{type(self).__name__} must name its first convolution")

    def residual_blocks(self) -> list[list[nn.Module]]:
        """Blocks per stage, each with a slot `before_first_conv` that its residual branch starts with."""
        raise NotImplementedError(f"{type(self).__name__} must list its residual blocks")

    def last_maps(self) -> list[nn.Module]:
        """The module with the last feature maps, (N, C, H, W): what class activation maps are drawn from."""
        return [self.residual_blocks()[-1][-1]]
