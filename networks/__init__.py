"""Backbones: networks that turn pictures (or two rates of them) into features, and know nothing of lists or config."""

from collections.abc import Callable
from functools import partial

from torch import nn

from networks.mobilenet import MobileNetV2
from networks.resnet import ResNet
from networks.slowfast_resnet import SlowFastResNet

IMAGE_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    **{f"resnet{depth}": partial(ResNet, depth=depth) for depth in (18, 34, 50, 101, 152)},
    "mobilenetv2": MobileNetV2,
}
SLOWFAST_NETWORKS: dict[str, Callable[..., nn.Module]] = {
    f"resnet{depth}": partial(SlowFastResNet, depth=depth) for depth in (18, 50, 101)
}

__all__ = ["IMAGE_NETWORKS", "SLOWFAST_NETWORKS"]
