"""From the config's `model` section to a method with its weights: ImageNet's, a checkpoint's, or none."""

import logging
from pathlib import Path

import torch

from methods.kwargs_checks import no_image_weights
from methods.load_weights import load_imported, set_normalisation, with_options
from methods.method import Method
from methods.registry import METHODS, construct, needs_names_of_ours, options_taken
from networks import IMAGE_NETWORKS
from networks.imported import Imported, read_checkpoint
from networks.pretrained import find_weights, load_image_weights, read_state_dict
from networks.timm_network import TimmNetwork
from networks.torchvision_video import TorchvisionVideo, load_video_weights
from utils.config_file import repository_path
from utils.config_schema import ModelConfig
from utils.errors import UserError

LOGGER = logging.getLogger("video_analysis")
WEIGHTS_FOLDER = "pretrained"


def build_method(model: ModelConfig, *, initialise: bool = True) -> Method:
    """The method of a config: float (B, T, C, H, W) -> logits (B, K), on the CPU, in training mode.

    `pretrained` may be a checkpoint of any known format; options that it needs and kwargs leave unset are set.
    `initialise=False` leaves `pretrained` alone, for a method whose weights come from a checkpoint next. Raises
    `UserError` where weights are missing or do not fit; nothing is half loaded.
    """
    if initialise and isinstance(model.pretrained, str) and needs_names_of_ours(model):
        return build_from(model, read_checkpoint(repository_path(model.pretrained)), whole=False)
    method = construct(model).train()  # partial BN freezes at this switch
    if not initialise or model.pretrained is False:
        return method
    image_weights = METHODS[model.type].image_weights
    if isinstance(model.pretrained, str):
        _load_file(method, repository_path(model.pretrained))
        return method
    if not image_weights:
        raise UserError(f"common.model.pretrained: got True, {no_image_weights(model)}")
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
    method = construct(model)
    if not isinstance(method.backbone, TorchvisionVideo):
        raise UserError(f"{path}: has no weights under 'model', needs a checkpoint of a run of {model.backbone}")
    if not load_video_weights(method.backbone, method.classifier, loaded, origin=str(path)):
        raise UserError(
            f"{path}: its classifier does not fit num_class {model.num_class}; set it to the file's, or train"
        )
    return method


def complete(model: ModelConfig, imported: Imported) -> ModelConfig:
    """`model` with the options that a checkpoint needs where its kwargs leave them unset; said in the log."""
    for_method, for_network = options_taken(model)
    return with_options(model, imported, {**for_network, **for_method})


def build_from(model: ModelConfig, imported: Imported, *, whole: bool) -> Method:
    """The method of a config with a checkpoint's weights and the options that it needs; see `load_imported`."""
    completed = complete(model, imported)
    try:
        method = construct(completed).train()
    except ValueError as error:
        raise UserError(f"{imported.path}: needs options that the config's others exclude: {error}") from error
    load_imported(method, imported, whole=whole)
    set_normalisation(method, imported, model.type)
    return method
