"""Small models of the config's `model` section, for the tests of methods."""

from typing import Any

from utils.config_schema import ModelConfig


def model_config(**changes: Any) -> ModelConfig:
    """A TSN over a ResNet-18 of width 8 with 3 classes and random weights; `changes` replace keys."""
    values = {
        "type": "tsn",
        "backbone": "resnet18",
        "num_class": 3,
        "num_segments": 3,
        "pretrained": False,
        "kwargs": {"width": 8},
    }
    return ModelConfig.model_validate({**values, **changes})
