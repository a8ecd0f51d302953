"""Backbones: networks that turn pictures (or two rates of them) into features, and know nothing of lists or config."""

from collections.abc import Callable
from functools import partial

from torch import nn

from networks.mobilenet import MobileNetV2
from networks.resnet import ResNet
from networks.resnet3d import ARCHITECTURES, R2Plus1DResNet, ResNet3d
from networks.slowfast_resnet import SlowFastResNet
from networks.timm_network import PREFIX, TimmNetwork
from networks.torchvision_video import MODELS, TorchvisionVideo
from networks.x3d import X3DNetwork


class ImageNetworks(dict[str, Callable[..., nn.Module]]):
    """Our image networks by name; `timm/NAME`, which no list of ours holds, is timm's."""

    def __missing__(self, name: str) -> Callable[..., nn.Module]:
        if not name.startswith(PREFIX):
            raise KeyError(name)
        return partial(TimmNetwork, name=name.removeprefix(PREFIX))


IMAGE_NETWORKS: dict[str, Callable[..., nn.Module]] = ImageNetworks(
    {
        **{f"resnet{depth}": partial(ResNet, depth=depth) for depth in (18, 34, 50, 101, 152)},
        "resnext50_32x4d": partial(ResNet, depth=50, groups=32, base_width=4),
        "resnext101_32x8d": partial(ResNet, depth=101, groups=32, base_width=8),
        "wide_resnet50_2": partial(ResNet, depth=50, base_width=128),
        "wide_resnet101_2": partial(ResNet, depth=101, base_width=128),
        "mobilenetv2": MobileNetV2,
    }
)
SLOWFAST_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    f"resnet{depth}": partial(SlowFastResNet, depth=depth) for depth in (18, 50, 101)
}

# Per method of one pathway, the networks that it takes; their signatures hold the published defaults.
VIDEO_NETWORKS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    **{
        name: {
            f"resnet{depth}": partial(
                ResNet3d,
                depth=depth,
                architecture=name,
                width=architecture.width,
                pool2_stride=architecture.pool2_stride,
            )
            for depth in (18, 50, 101)
        }
        for name, architecture in ARCHITECTURES.items()
    },
    "r2plus1d": {f"resnet{depth}": partial(R2Plus1DResNet, depth=depth) for depth in (50, 101)},
    "x3d": {
        "x3d_xs": partial(X3DNetwork, head_pool=5),
        "x3d_s": partial(X3DNetwork, head_pool=5),
        "x3d_m": partial(X3DNetwork, head_pool=7),
        "x3d_l": partial(X3DNetwork, depth_factor=5.0, head_pool=10),
    },
    "clip": {name: partial(TorchvisionVideo, name=name) for name in MODELS},
}

__all__ = ["IMAGE_NETWORKS", "SLOWFAST_NETWORKS", "VIDEO_NETWORKS"]
