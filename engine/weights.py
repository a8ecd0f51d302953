"""Where a method's weights come from: a config's `pretrained`, a run's checkpoint, or another system's."""

from pathlib import Path
from typing import Any

import torch

from engine.checkpoint import check_same_experiment, load_checkpoint
from engine.distributed import World
from engine.run import place
from methods import build_from, build_method, build_published, complete, needs_names_of_ours
from methods.method import Method
from networks.imported import Imported, read_checkpoint
from utils.config_file import config_as_dict, repository_path
from utils.config_schema import Config
from utils.random_streams import torch_seed


def build_placed(config: Config, world: World, *, initialise: bool) -> Method:
    """The method on this rank's device; its first weights are a function of the seed, like every random number."""
    torch.manual_seed(torch_seed(config.seed, "weights"))
    return place(build_method(config.model, initialise=initialise), config, world)


def load_weights(method: Method, path: Path) -> dict[str, Any]:
    """Load the evaluated weights of one of our checkpoints (the averaged ones where there are any); returns it all."""
    state = load_checkpoint(path)
    weights = state["model"]
    if state["ema"] is not None:
        prefix = "module."
        weights = {k[len(prefix) :]: v for k, v in state["ema"].items() if k.startswith(prefix)}
    method.load_state_dict(weights)
    return state


def completed(config: Config, imported: Imported) -> Config:
    """`config` with the options, and the normalisation, that a checkpoint needs where they are unset."""
    augmentation, model = config.augmentation, complete(config.model, imported)
    settings = imported.settings(model.type)
    values: dict[str, Any] = {key: list(settings[key]) for key in ("mean", "std") if key in settings}
    unset: dict[str, Any] = {key: value for key, value in values.items() if getattr(augmentation, key) is None}
    if unset and model.modality == "RGB":
        augmentation = augmentation.model_copy(update=unset)
    return config.model_copy(update={"model": model, "augmentation": augmentation})


def for_training(config: Config, checkpoint: Path | None) -> Config:
    """The config of a run that starts from `pretrained`, or goes on from its own `checkpoint` after such a start.

    What that start set is part of the run: it stands in config_resolved.yaml and in every checkpoint.
    """
    pretrained = config.model.pretrained
    if not needs_names_of_ours(config.model) or (checkpoint is None and not isinstance(pretrained, str)):
        return config
    imported = read_checkpoint(checkpoint or repository_path(str(pretrained)))
    model = imported.run_config.get("model")
    if checkpoint is not None and not (isinstance(model, dict) and isinstance(model.get("pretrained"), str)):
        return config  # nothing was set for it
    return completed(config, imported)


def load_evaluated(config: Config, path: Path, world: World) -> tuple[Config, Method, str]:
    """The method that a checkpoint of a run, or another system's, belongs to, placed and loaded whole.

    Returns the config as it is used, the method, and what to call the checkpoint. Raises `UserError` where it belongs
    to another config or doesn't fit.
    """
    imported = read_checkpoint(path) if needs_names_of_ours(config.model) else None
    if imported is not None and not imported.run_config:
        config = completed(config, imported)
        method = place(build_from(config.model, imported, whole=True), config, world)
        return config, method, f"{path} ({imported.origin.title})"
    published = None if needs_names_of_ours(config.model) else build_published(config.model, path)
    if published is not None:
        return config, place(published, config, world), str(path)
    config = for_training(config, path)
    method = build_placed(config, world, initialise=False)
    state = load_checkpoint(path)
    check_same_experiment(state["config"], config_as_dict(config))
    load_weights(method, path)
    return config, method, f"{path} (iteration {state['iteration']})"
