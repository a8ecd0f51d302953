"""From the config's `model` section to a method: names looked up, kwargs checked and shared out, weights loaded."""

import difflib
import inspect
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from methods.clip import Clip
from methods.image import Image
from methods.load_weights import load_imported, set_normalisation, with_options
from methods.method import Method
from methods.modality import MODALITIES
from methods.single_pathway import C2D, I3D, X3D, Fast, R2Plus1D, Slow
from methods.slowfast import SlowFast
from methods.tsm import TSM
from methods.tsn import TSN
from networks import IMAGE_NETWORKS, SLOWFAST_NETWORKS, VIDEO_NETWORKS
from networks.imported import Imported, read_checkpoint
from networks.pretrained import find_weights, load_image_weights, read_state_dict
from networks.timm_network import PREFIX as TIMM
from networks.timm_network import TimmNetwork, timm_mistake
from networks.torchvision_video import TorchvisionVideo, load_video_weights
from utils.config_file import repository_path
from utils.config_schema import Config, ModelConfig
from utils.errors import Mistake, UserError

LOGGER = logging.getLogger("video_analysis")
WEIGHTS_FOLDER = "pretrained"
SYNC_BN_KWARGS = ("bn_group_size", "bn_sync_stats")  # the engine's


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


def _options(model: ModelConfig) -> tuple[dict[str, inspect.Parameter], dict[str, inspect.Parameter]]:
    entry = METHODS[model.type]
    return options_of(entry.method, OWN_KEYS), options_of(entry.networks[model.backbone], NETWORK_OWN)


def _one_of(path: str, got: str, choices: list[str]) -> list[Mistake]:
    if got in choices:
        return []
    close = difflib.get_close_matches(got, choices, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return [Mistake(path, f"got {got!r}, needs one of {', '.join(choices)}.{hint}")]


def _backbone_mistakes(config: Config) -> list[Mistake]:
    backbone, networks = config.model.backbone, METHODS[config.model.type].networks
    if networks is IMAGE_NETWORKS and backbone.startswith(TIMM):
        mistake = timm_mistake(backbone.removeprefix(TIMM), input_size=config.augmentation.input_size)
        return [Mistake("model.backbone", mistake)] if mistake else []
    return _one_of("model.backbone", backbone, list(networks))


def kwargs_mistakes(config: Config) -> list[Mistake]:
    """What is wrong with `model`'s names, options and weights, by the signatures that take them."""
    model = config.model
    mistakes = _one_of("model.type", model.type, list(METHODS))
    if mistakes:
        return mistakes
    mistakes = _backbone_mistakes(config)
    if mistakes:
        return mistakes
    for_method, for_network = _options(model)
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
        mistakes.append(Mistake("model.pretrained", f"got True, {_no_image_weights(model)}"))
    return mistakes


def _no_image_weights(model: ModelConfig) -> str:
    return f"but no ImageNet weights fit {model.type}: set it to False, or to the path of a checkpoint"


def _unknown(name: str, known: list[str], model: ModelConfig) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    takers = f"neither {model.type}, nor {model.backbone}, nor sync-BN takes it; they take {', '.join(known)}"
    return f"no such option: {takers}.{hint}"


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
            _construct(model)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        if not message:  # not one of ours
            return [Mistake("model", str(error))]
        return [Mistake(f"model.{name}" if name in ModelConfig.model_fields else f"model.kwargs.{name}", message)]
    except (RuntimeError, TypeError, OverflowError) as error:
        return [Mistake("model", f"got sizes that no layer can have ({str(error).splitlines()[0]}); make them smaller")]
    return []


def _construct(model: ModelConfig) -> Method:
    entry = METHODS[model.type]
    taken = inspect.signature(entry.method).parameters
    if "modality" not in taken and model.modality != "RGB":
        raise ValueError(f"modality: got {model.modality}, {model.type} takes RGB")
    for_method, for_network = _options(model)
    network_kwargs = {name: value for name, value in model.kwargs.items() if name in for_network}
    if entry.networks is IMAGE_NETWORKS:
        network_kwargs["in_channels"] = MODALITIES[model.modality].in_channels
    backbone = entry.networks[model.backbone](**network_kwargs)
    own = {name: getattr(model, name) for name in OWN_KEYS if name in taken}
    kwargs = {name: value for name, value in model.kwargs.items() if name in for_method}
    return entry.method(backbone, **own, **kwargs)


def build_method(model: ModelConfig, *, initialise: bool = True) -> Method:
    """The method of a config: float (B, T, C, H, W) -> logits (B, K), on the CPU, in training mode.

    `pretrained` may be a checkpoint of any known format; options that it needs and kwargs leave unset are set.
    `initialise=False` leaves `pretrained` alone, for a method whose weights come from a checkpoint next. Raises
    `UserError` where weights are missing or do not fit; nothing is half loaded.
    """
    if initialise and isinstance(model.pretrained, str) and needs_names_of_ours(model):
        return build_from(model, read_checkpoint(repository_path(model.pretrained)), whole=False)
    method = _construct(model).train()  # partial BN freezes at this switch
    if not initialise or model.pretrained is False:
        return method
    image_weights = METHODS[model.type].image_weights
    if isinstance(model.pretrained, str):
        _load_file(method, repository_path(model.pretrained))
        return method
    if not image_weights:
        raise UserError(f"common.model.pretrained: got True, {_no_image_weights(model)}")
    if isinstance(method.backbone, TimmNetwork):
        method.backbone.load_pretrained()
        LOGGER.info("backbone initialised from timm's weights of %s", model.backbone)
        return method
    path = find_weights(model.backbone, repository_path(WEIGHTS_FOLDER))
    if METHODS[model.type].networks is not IMAGE_NETWORKS and needs_names_of_ours(model):
        load_imported(method, read_checkpoint(path), whole=False)  # inflated
        return method
    _load_published(method, read_state_dict(path), path)
    return method


def _load_published(method: Method, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Load torchvision's weights: of images into the backbone, of videos into the classifier too where it fits."""
    if isinstance(method.backbone, TimmNetwork):
        weights = method.backbone.named_as_here(weights)
    if not isinstance(method.backbone, TorchvisionVideo):
        load_image_weights(method.backbone, weights, origin=str(path))
        LOGGER.info("backbone initialised from %s", path.name)
    elif load_video_weights(method.backbone, method.classifier, weights, origin=str(path)):
        LOGGER.info("backbone and classifier initialised from %s", path.name)
    else:
        LOGGER.info("backbone initialised from %s; it has another number of classes: ours starts anew", path.name)


def needs_names_of_ours(model: ModelConfig) -> bool:
    """Whether the backbone is our own; another library's takes that library's weights."""
    return METHODS[model.type].networks is not VIDEO_NETWORKS["clip"] and not model.backbone.startswith(TIMM)


def _load_file(method: Method, path: Path) -> None:
    """Load a file into another library's network: one of our checkpoints, or that library's own weights."""
    loaded = read_state_dict(path)
    if isinstance(loaded.get("model"), dict):
        load_imported(method, read_checkpoint(path), whole=False)
    else:
        _load_published(method, loaded, path)


def build_published(model: ModelConfig, path: Path) -> Method | None:
    """The method with another library's own file, classifier included, to be evaluated; None where that is a run's.

    Raises `UserError` where the file has no classifier that fits.
    """
    loaded = read_state_dict(path)
    if isinstance(loaded.get("model"), dict):
        return None
    method = _construct(model)
    if not isinstance(method.backbone, TorchvisionVideo):
        raise UserError(f"{path}: has no weights under 'model', needs a checkpoint of a run of {model.backbone}")
    if not load_video_weights(method.backbone, method.classifier, loaded, origin=str(path)):
        raise UserError(
            f"{path}: its classifier does not fit num_class {model.num_class}; set it to the file's, or train"
        )
    return method


def complete(model: ModelConfig, imported: Imported) -> ModelConfig:
    """`model` with the options that a checkpoint needs where its kwargs leave them unset; said in the log."""
    for_method, for_network = _options(model)
    return with_options(model, imported, {**for_network, **for_method})


def build_from(model: ModelConfig, imported: Imported, *, whole: bool) -> Method:
    """The method of a config with a checkpoint's weights and the options that it needs; see `load_imported`."""
    completed = complete(model, imported)
    try:
        method = _construct(completed).train()
    except ValueError as error:
        raise UserError(f"{imported.path}: needs options that the config's others exclude: {error}") from error
    load_imported(method, imported, whole=whole)
    set_normalisation(method, imported, model.type)
    return method
