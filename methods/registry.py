"""The methods there are, with their backbones; one constructed of the config's `model` section, kwargs shared out."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from methods.clip import Clip
from methods.image import Image
from methods.method import Method
from methods.modality import MODALITIES
from methods.single_pathway import C2D, I3D, X3D, Fast, R2Plus1D, Slow
from methods.slowfast import SlowFast
from methods.tsm import TSM
from methods.tsn import TSN
from networks import IMAGE_NETWORKS, SLOWFAST_NETWORKS, VIDEO_NETWORKS
from networks.timm_network import PREFIX as TIMM
from utils.config_schema import ModelConfig


class MethodEntry(NamedTuple):
    """A method's class, the backbones that it takes, and whether torchvision's weights fit those
    (a ResNet's of pictures are inflated for those of clips)."""

    method: type[Method]
    networks: Mapping[str, Callable[..., nn.Module]]
    image_weights: bool


METHODS: dict[str, MethodEntry] = {
    "tsn": MethodEntry(TSN, IMAGE_NETWORKS, True),
    "tsm": MethodEntry(TSM, IMAGE_NETWORKS, True),
    "slowfast": MethodEntry(SlowFast, SLOWFAST_NETWORKS, False),
    "slow": MethodEntry(Slow, VIDEO_NETWORKS["slow"], True),
    "fast": MethodEntry(Fast, VIDEO_NETWORKS["fast"], False),
    "c2d": MethodEntry(C2D, VIDEO_NETWORKS["c2d"], True),
    "i3d": MethodEntry(I3D, VIDEO_NETWORKS["i3d"], True),
    "r2plus1d": MethodEntry(R2Plus1D, VIDEO_NETWORKS["r2plus1d"], False),
    "x3d": MethodEntry(X3D, VIDEO_NETWORKS["x3d"], False),
    "clip": MethodEntry(Clip, VIDEO_NETWORKS["clip"], True),
    "image": MethodEntry(Image, IMAGE_NETWORKS, True),
}

# Constructor arguments that the config gives under keys of their own, not under kwargs.
OWN_KEYS = ("num_class", "num_segments", "num_frames", "stride", "dropout", "modality")
NETWORK_OWN = ("depth", "in_channels", "groups", "base_width", "architecture", "name")


def options_of(constructor: Callable[..., Any], left_out: tuple[str, ...]) -> dict[str, inspect.Parameter]:
    """The keyword-only arguments of a constructor that kwargs may set, with their defaults and types."""
    parameters = inspect.signature(constructor).parameters.values()
    return {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in left_out}


def options_taken(model: ModelConfig) -> tuple[dict[str, inspect.Parameter], dict[str, inspect.Parameter]]:
    """What `model.kwargs` may set: the method's options, the network's."""
    entry = METHODS[model.type]
    return options_of(entry.method, OWN_KEYS), options_of(entry.networks[model.backbone], NETWORK_OWN)


def construct(model: ModelConfig) -> Method:
    """The method of a config, its weights drawn anew; a `ValueError`, `option: got ...`, names what is out of range."""
    entry = METHODS[model.type]
    taken = inspect.signature(entry.method).parameters
    if "modality" not in taken and model.modality != "RGB":
        raise ValueError(f"modality: got {model.modality}, {model.type} takes RGB")
    for_method, for_network = options_taken(model)
    network_kwargs = {name: value for name, value in model.kwargs.items() if name in for_network}
    if entry.networks is IMAGE_NETWORKS:
        network_kwargs["in_channels"] = MODALITIES[model.modality].in_channels
    backbone = entry.networks[model.backbone](**network_kwargs)
    own = {name: getattr(model, name) for name in OWN_KEYS if name in taken}
    kwargs = {name: value for name, value in model.kwargs.items() if name in for_method}
    return entry.method(backbone, **own, **kwargs)


def needs_names_of_ours(model: ModelConfig) -> bool:
    """Whether the backbone is our own; another library's takes that library's weights."""
    return METHODS[model.type].networks is not VIDEO_NETWORKS["clip"] and not model.backbone.startswith(TIMM)
