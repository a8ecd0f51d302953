"""A checkpoint of any format into a method: options that it needs, what of it is loaded, and what is said of it."""

import logging
from collections.abc import Mapping
from inspect import Parameter
from typing import Any, NamedTuple

from easydict import EasyDict

from methods.method import Method
from networks.checkpoint_formats.renames import Tensors
from networks.image_network import ImageNetwork
from networks.imported import Imported
from networks.inflation import PARTS_OF_SLOWFAST, inflated
from networks.pretrained import adapt_first_conv
from utils.config_report import closest
from utils.config_schema import ModelConfig
from utils.errors import UserError

LOGGER = logging.getLogger("video_analysis")
HEAD = ("classifier.", "consensus.")  # starts anew where it doesn't fit
ADDED = ".non_local."  # what TSM adds to a block starts as the identity where a file has none
COUNTER = "num_batches_tracked"  # files from before torch 0.4.1 have none
LISTED = 8
NAMED = 3


class Fitted(NamedTuple):
    """Tensors to load, and lines on what was done to the file's to get there."""

    tensors: Tensors
    notes: list[str]


def with_options(model: ModelConfig, imported: Imported, options: Mapping[str, Parameter]) -> ModelConfig:
    """`model` with the options that the checkpoint needs wherever its kwargs leave them unset; one line in the log.

    `options` are what the method and its backbone take. What the config sets to another value stays as it is there,
    and the log says so.
    """
    needed = {name: value for name, value in imported.settings(model.type).items() if name in options}
    unset = {name: value for name, value in needed.items() if name not in model.kwargs}
    changed = {name: value for name, value in unset.items() if value != options[name].default}
    other = {name: value for name, value in needed.items() if model.kwargs.get(name, value) != value}
    if changed:
        LOGGER.info("set as %s has it: %s", imported.origin.title, _listed(changed))
    for name, value in other.items():
        ours = model.kwargs[name]
        LOGGER.warning("model.kwargs.%s: the config's %r is used; %s has %r", name, ours, imported.path.name, value)
    if {imported.described.method, model.type} == {"tsn", "tsm"}:
        LOGGER.warning(
            "%s is of a %s, the config's model is a %s", imported.path.name, imported.described.method, model.type
        )
    return model.model_copy(update={"kwargs": EasyDict({**model.kwargs, **changed})}) if changed else model


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def set_normalisation(method: Method, imported: Imported, method_type: str) -> None:
    """Let the method's frames be normalised as the checkpoint's were; the log says so where that is another way."""
    settings = imported.settings(method_type)
    mean, std = settings.get("mean", method.mean), settings.get("std", method.std)
    if len(mean) == len(method.mean) and (mean, std) != (method.mean, method.std):
        method.mean, method.std = mean, std
        LOGGER.info("frames are normalised as %s does: mean %s, std %s", imported.origin.title, list(mean), list(std))


def load_imported(method: Method, imported: Imported, *, whole: bool) -> None:
    """Load a checkpoint into `method`, all of it or nothing, and say in the log how many tensors were what.

    With `whole`, as for an evaluation, every tensor of the method must come from the file. Without, as at the start
    of a training, a classifier for other classes is left out, a first convolution for other channels is adapted,
    and a 2D ResNet is inflated. Raises `UserError` that lists what doesn't fit.
    """
    wanted = method.state_dict()
    fitted = _fit(method, imported, wanted, whole=whole)
    new = [key for key in wanted if key not in fitted.tensors]
    left_over = [key for key in fitted.tensors if key not in wanted]
    faults = _faults(imported, fitted.tensors, wanted, optional=_optional(imported, wanted, whole=whole))
    if faults:
        raise UserError(
            f"{imported.path}: this {imported.format.title} checkpoint doesn't fit; nothing was loaded", *faults
        )
    assert not left_over, f"{left_over[:NAMED]} are in the file only and were no fault"
    method.load_state_dict(fitted.tensors, strict=False)
    dropped = [key for key in imported.tensors if key.startswith(HEAD) and key not in fitted.tensors]
    left = [*(imported.theirs.get(key, key) for key in dropped), *imported.unknown]
    LOGGER.info(
        "%s: %s checkpoint, %d tensors loaded, %s new, %s left over%s",
        imported.path, imported.format.title, len(fitted.tensors), _count(new), _count(left), "".join(fitted.notes),
    )  # fmt: skip


def _count(keys: list[str]) -> str:
    named = [key for key in keys if not key.endswith(COUNTER)] or keys
    if not keys:
        return "0"
    return f"{len(keys)} ({', '.join(named[:NAMED])}{' ...' if len(named) > NAMED else ''})"


def _fit(method: Method, imported: Imported, wanted: Tensors, *, whole: bool) -> Fitted:
    """The file's tensors, changed where a training may start from them so."""
    tensors, notes = {**imported.origin.implied(imported.tensors), **imported.tensors}, []
    clips = inflated(tensors, wanted)
    if clips is not None:
        tensors = clips
        notes.append("; 2D filters inflated over time, each frame's share 1/T")
    if whole:
        return Fitted(tensors, notes)
    if _adapt_first_conv(method, tensors, wanted):
        notes.append("; first convolution adapted: the mean over its input channels, repeated")
    misfit = tuple(part for part in HEAD if _shapes(tensors, part) != _shapes(wanted, part))
    if any(key.startswith(misfit) for key in tensors):
        notes.append("; it has another number of classes: the classifier starts anew")
    return Fitted({key: value for key, value in tensors.items() if not key.startswith(misfit)}, notes)


def _shapes(tensors: Tensors, part: str) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in tensors.items() if key.startswith(part)}


def _adapt_first_conv(method: Method, tensors: Tensors, wanted: Tensors) -> bool:
    """Fit the first convolution of a 2D network to the method's modality; whether anything had to be done."""
    network = method.backbone
    if not isinstance(network, ImageNetwork):
        return False
    key = next(f"backbone.{name}.weight" for name, module in network.named_modules() if module is network.first_conv)
    given = tensors.get(key)
    if given is None or given.ndim != 4 or given.shape[1] == wanted[key].shape[1]:
        return False
    tensors[key] = adapt_first_conv(given, wanted[key].shape[1])
    return True


def _optional(imported: Imported, wanted: Tensors, *, whole: bool) -> set[str]:
    """Keys of the method that need not be in the file."""
    optional = {key for key in wanted if key.endswith(COUNTER)}
    if whole:
        return optional
    optional |= {key for key in wanted if key.startswith(HEAD)}
    if not any(ADDED in key for key in imported.tensors):
        optional |= {key for key in wanted if ADDED in key}
    if "backbone.layer1.0.conv1.weight" in imported.tensors:
        optional |= {key for key in wanted if key.startswith(PARTS_OF_SLOWFAST)}
    return optional


def _faults(imported: Imported, tensors: Tensors, wanted: Tensors, *, optional: set[str]) -> list[str]:
    """Lines on tensors that are missing, left over or of another shape, the first of them."""
    missing = [key for key in wanted if key not in tensors and key not in optional]
    surplus = [key for key in tensors if key not in wanted]
    candidates = [*surplus, *imported.unknown]
    faults = [
        f"  {key}: got shape {tuple(tensors[key].shape)}, needs {tuple(wanted[key].shape)}"
        for key in wanted
        if key in tensors and tensors[key].shape != wanted[key].shape
    ]
    number = len(faults) + len(missing) + len(surplus)
    for key in missing[:LISTED]:
        faults.append(f"  {key}: missing, needs {tuple(wanted[key].shape)}{_closest(key, candidates)}")
    faults += [f"  {imported.theirs.get(key, key)} {tuple(tensors[key].shape)}: left over" for key in surplus]
    return faults if number <= LISTED else [*faults[:LISTED], f"  and {number - LISTED} more"]


def _closest(key: str, candidates: list[str]) -> str:
    close = closest(key, candidates)
    return f"; the closest in the file is {close}" if close else ""
