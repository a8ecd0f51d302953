"""What is wrong with the config's `model` section: names of method, backbone and options, their types and ranges."""

import inspect
from typing import Any

import torch

from methods.registry import METHODS, construct, options_taken
from networks import IMAGE_NETWORKS
from networks.timm_network import PREFIX as TIMM
from networks.timm_network import timm_mistake
from utils.config_report import closest
from utils.config_schema import Config, ModelConfig
from utils.errors import Mistake

SYNC_BN_KWARGS = ("bn_group_size", "bn_sync_stats")  # the engine's


def kwargs_mistakes(config: Config) -> list[Mistake]:
    """What is wrong with `model`'s names, options and weights, by the signatures that take them."""
    model = config.model
    mistakes = _one_of("model.type", model.type, list(METHODS))
    if mistakes:
        return mistakes
    mistakes = _backbone_mistakes(config)
    if mistakes:
        return mistakes
    for_method, for_network = options_taken(model)
    options = {**for_network, **for_method}
    for name, value in model.kwargs.items():
        path = f"model.kwargs.{name}"
        if name in SYNC_BN_KWARGS:
            continue
        if name in options:
            mistakes += _type_mistake(path, value, options[name])
        else:
            mistakes.append(Mistake(path, _unknown(name, [*options, *SYNC_BN_KWARGS], model)))
    mistakes = mistakes or _construction_mistake(model)
    if model.pretrained is True and not METHODS[model.type].image_weights:
        mistakes.append(Mistake("model.pretrained", f"got True, {no_image_weights(model)}"))
    return mistakes


def _backbone_mistakes(config: Config) -> list[Mistake]:
    backbone, networks = config.model.backbone, METHODS[config.model.type].networks
    if networks is IMAGE_NETWORKS and backbone.startswith(TIMM):
        mistake = timm_mistake(backbone.removeprefix(TIMM), input_size=config.augmentation.input_size)
        return [Mistake("model.backbone", mistake)] if mistake else []
    return _one_of("model.backbone", backbone, list(networks))


def _one_of(path: str, got: str, choices: list[str]) -> list[Mistake]:
    if got in choices:
        return []
    return [Mistake(path, f"got {got!r}, needs one of {', '.join(choices)}.{_hint(got, choices)}")]


def _hint(name: str, known: list[str]) -> str:
    meant = closest(name, known)
    return f" Did you mean {meant!r}?" if meant else ""


def _unknown(name: str, known: list[str], model: ModelConfig) -> str:
    takers = f"neither {model.type}, nor {model.backbone}, nor sync-BN takes it; they take {', '.join(known)}"
    return f"no such option: {takers}.{_hint(name, known)}"


def no_image_weights(model: ModelConfig) -> str:
    """Why `pretrained: True` can't be had for the method."""
    return f"but no ImageNet weights fit {model.type}: set it to False, or to the path of a checkpoint"


def _type_mistake(path: str, value: Any, option: inspect.Parameter) -> list[Mistake]:
    words = {bool: "True or False", int: "a whole number", float: "a number", str: "a word"}
    wanted = option.annotation
    fits = isinstance(value, (int, float) if wanted is float else wanted)
    if fits and (wanted is bool) == isinstance(value, bool):
        return []
    return [Mistake(path, f"got {value!r}, needs {words[wanted]}, e.g. {option.default!r}")]


def _construction_mistake(model: ModelConfig) -> list[Mistake]:
    """Build the method without memory: a constructor's ValueError, `option: got ...`, says what is out of range."""
    try:
        with torch.device("meta"):
            construct(model)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        if not message:  # not one of ours
            return [Mistake("model", str(error))]
        return [Mistake(f"model.{name}" if name in ModelConfig.model_fields else f"model.kwargs.{name}", message)]
    except (RuntimeError, TypeError, OverflowError) as error:
        return [Mistake("model", f"got sizes that no layer can have ({str(error).splitlines()[0]}); make them smaller")]
    return []
