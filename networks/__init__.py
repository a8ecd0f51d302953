"""Backbones: networks that turn pictures (or two rates of them) into features, and know nothing of lists or config."""

from collections.abc import Callable
from functools import partial

from torch import nn

from networks.mobilenet import MobileNetV2
from networks.resnet import ResNet
from networks.slowfast_resnet import SlowFastResNet

IMAGE_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **{f"resnet{depth}": partial(ResNet, depth=depth) for depth in (18, 34, 50, 101, 152)},
    "resnext50_32x4d": partial(ResNet, depth=50, groups=32, base_width=4),
    "resnext101_32x8d": partial(ResNet, depth=101, groups=32, base_width=8),
    "wide_resnet50_2": partial(ResNet, depth=50, base_width=128),
    "wide_resnet101_2": partial(ResNet, depth=101, base_width=128),
    "mobilenetv2": MobileNetV2,
}
SLOWFAST_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    f"resnet{depth}": partial(SlowFastResNet, depth=depth) for depth in (18, 50, 101)
}

__all__ = ["IMAGE_NETWORKS", "SLOWFAST_NETWORKS"]
