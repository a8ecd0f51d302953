"""Any image network of timm (https://github.com/huggingface/pytorch-image-models), by `backbone: timm/NAME`."""

import difflib
import logging
from functools import partial
from typing import Any

import torch
from torch import nn

from networks.image_network import ImageNetwork
from utils.errors import UserError

PREFIX = "timm/"
# Kinds of residual blocks, by the first convolution of their residual branch: ResNet's, MobileNet's, ConvNeXt's.
FIRST_CONV = {"BasicBlock": "conv1", "Bottleneck": "conv1", "InvertedResidual": "conv_pw", "ConvNeXtBlock": "conv_dw"}


def _timm() -> Any:
    """The library, which takes seconds to import: only the runs that use it wait for that."""
    import timm

    return timm


def timm_mistake(name: str, *, input_size: int) -> str | None:
    """What is wrong with a backbone's name, `timm/` left off, or with the picture it is to see; None if nothing is."""
    timm = _timm()
    architecture, _, tag = name.partition(".")
    names = timm.list_models()
    if architecture not in names:
        return _unknown(name, names, architecture)
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        return _unknown(name, tags, name)
    cfg = timm.get_pretrained_cfg(name)
    if cfg.fixed_input_size and cfg.input_size[-1] != input_size:
        return (
            f"got {PREFIX}{name}, which sees {cfg.input_size[-1]} pixels only, needs augmentation.input_size to be that"
        )
    return None


def _unknown(name: str, known: list[str], wanted: str) -> str:
    close = [PREFIX + each for each in difflib.get_close_matches(wanted, known, n=3)]
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    return f"got {PREFIX + name!r}, needs the name of a timm model (timm.list_models() lists them).{hint}"


class TimmNetwork(ImageNetwork):
    """Images (N, in_channels, H, W) -> pooled features (N, feature_dim), by timm's network `name`; no classifier.

    `mean` and `std` are those of its published weights. `name` is an architecture, or one with the tag of a set of
    weights: resnet50.a1_in1k.
    """

    def __init__(self, *, name: str, in_channels: int = 3) -> None:
        super().__init__()
        self.name, self.in_channels = name, in_channels
        self.model = _timm().create_model(name, pretrained=False, num_classes=0, in_chans=in_channels)
        self.feature_dim = getattr(self.model, "head_hidden_size", None) or self.model.num_features
        self.mean, self.std = self.model.pretrained_cfg["mean"], self.model.pretrained_cfg["std"]
        self._stages = _residual_stages(self.model)

    @property
    def first_conv(self) -> nn.Conv2d:
        """The convolution that sees the input."""
        path = self.model.pretrained_cfg["first_conv"]
        return self.model.get_submodule(path if isinstance(path, str) else path[0])

    def residual_blocks(self) -> list[list[nn.Module]]:
        """Blocks per stage, each with a slot `before_first_conv`; ValueError where the blocks are of no known kind."""
        if not self._stages:
            raise ValueError(
                f"backbone: got {PREFIX}{self.name}, whose blocks have no place for a shift, needs a network like "
                "ResNet, MobileNet or ConvNeXt"
            )
        return self._stages

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.model(x)

    def named_as_here(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A file of timm's own for this network, its classifier left out, with the names that this module has."""
        classifiers = self.model.pretrained_cfg["classifier"] or ()
        left_out = tuple(f"{name}." for name in ([classifiers] if isinstance(classifiers, str) else classifiers))
        return {f"model.{key}": value for key, value in weights.items() if not str(key).startswith(left_out)}

    def load_pretrained(self) -> None:
        """Load timm's weights for `name`, from its cache or fetched; `UserError` where neither can be."""
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # each retry would be a line
        try:
            filled = _timm().create_model(self.name, pretrained=True, num_classes=0, in_chans=self.in_channels)
        except Exception as error:  # the hub's client raises a dozen kinds
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise UserError(
                f"pretrained: no weights for {PREFIX}{self.name} in timm's cache and no way to fetch them ({reason}); "
                "run once with network, or set common.model.pretrained to a path or to False"
            ) from error
        self.model.load_state_dict(filled.state_dict())


def _residual_stages(model: nn.Module) -> list[list[nn.Module]]:
    """Blocks with a residual branch to shift, grouped by the module that holds them, with an open slot each."""
    stages: dict[str, list[nn.Module]] = {}
    for name, block in model.named_modules():
        conv = getattr(block, FIRST_CONV.get(type(block).__name__, ""), None)
        if conv is None or not getattr(block, "has_skip", True):
            continue
        block.before_first_conv = nn.Identity()
        conv.register_forward_pre_hook(partial(_before_first_conv, block))
        stages.setdefault(name.rpartition(".")[0], []).append(block)
    return list(stages.values())


def _before_first_conv(block: nn.Module, conv: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
    """The hook that stands for a slot in a block whose code isn't ours."""
    return block.before_first_conv(inputs[0])  # type: ignore[operator]
