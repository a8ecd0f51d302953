"""A checkpoint of any format under our names, with what it says of the network it belongs to."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from networks.checkpoint_formats import FORMATS, Described, Format, Options
from networks.checkpoint_formats.renames import Tensors
from networks.weights_file import read_weights_file
from utils.errors import UserError

CONTAINERS = ("state_dict", "model_state", "model", "model_state_dict", "blobs")
PREFIXES = ("module.", "_orig_mod.")
LISTED = 5


# Of our own options, those that a network's scores depend on and that its weights can't tell.
_TIME = "alpha fusion_kernel lateral_norm slow_frames slow_res4_blocks fast_res4_blocks stem_stride pool1_stride"
_SHIFTS = "shift shift_div shift_place non_local temporal_pool"
_REST = "average_positions head_pool pool1_padding pool2_stride res2_shortcut_norm depth_factor"
OPTIONS_OF_A_NETWORK = frozenset(f"{_TIME} {_SHIFTS} {_REST}".split())


class Imported(NamedTuple):
    """Tensors under our keys; `unknown` are the file's keys without a name here, `theirs` its name for each of ours.

    `format` is the file's own; `origin` is the one that its weights were made by, another one in a converted file.
    `prefix` is what DataParallel and the like put before each of the origin's keys, `exceptions` are the origin's names
    that aren't its usual ones, by ours, as a conversion noted them. `run_config` is the config of the run of ours that
    can go on from the file; empty for other files.
    """

    path: Path
    format: Format
    origin: Format
    tensors: Tensors
    unknown: list[str]
    theirs: dict[str, str]
    prefix: str
    described: Described
    exceptions: dict[str, str]
    run_config: dict[str, Any]

    def settings(self, method: str) -> Options:
        """Options that `method` needs to give the scores that this checkpoint was published with."""
        return {**self.origin.settings(self.tensors, method), **self.described.options}


class _Attempt(NamedTuple):
    """What one table of one format makes of a file's tensors; `known` are the file's keys of the renamed ones."""

    format: Format
    tensors: Tensors
    unknown: list[str]
    known: list[str]


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Mapping) and any(isinstance(each, torch.Tensor) for each in value.values())


def _tensors_of(raw: Mapping[str, Any], path: Path) -> Tensors:
    """The dictionary of weights, wherever a file keeps it."""
    found = next((raw[key] for key in CONTAINERS if _has_tensors(raw.get(key))), raw)
    if not _has_tensors(found):
        raise UserError(f"{path}: holds no weights: needs tensors, at its top or under one of {', '.join(CONTAINERS)}")
    return {str(name): value for name, value in found.items() if isinstance(value, torch.Tensor)}


def _without_prefix(tensors: Tensors) -> tuple[str, Tensors]:
    prefix = ""
    while common := next((each for each in PREFIXES if all(key.startswith(each) for key in tensors)), ""):
        prefix += common
        tensors = {key[len(common) :]: value for key, value in tensors.items()}
    return prefix, tensors


def _attempts(tensors: Tensors) -> Iterator[_Attempt]:
    for each in FORMATS.values():
        weights = {key: value for key, value in tensors.items() if not key.startswith(each.harmless)}
        plain = each.unwrap(weights)
        keys = list(weights) if len(plain) == len(weights) else list(plain)  # Caffe2's optimiser is left out
        for table in each.tables:
            renamed = table.to_ours(plain)
            if renamed.tensors and table.fits(renamed.tensors):
                strange = set(renamed.unknown)
                known = [key for key, name in zip(keys, plain) if name not in strange]
                unknown = [key for key, name in zip(keys, plain) if name in strange]
                yield _Attempt(each, renamed.tensors, unknown, known)


def _recognise(tensors: Tensors, path: Path) -> _Attempt:
    """The table that leaves the fewest keys unknown; `UserError` where it still leaves most of them."""
    best = min(_attempts(tensors), key=lambda attempt: len(attempt.unknown), default=None)
    if best is not None and len(best.unknown) < len(best.known):
        return best
    closest = ""
    if best is not None:
        closest = f"; the closest, {best.format.title}, knows {len(best.known)} of its {len(tensors)} tensors"
    keys = [f"  {key} {tuple(tensors[key].shape)}" for key in list(tensors)[:LISTED]]
    titles = ", ".join(each.title for each in FORMATS.values())
    raise UserError(f"{path}: fits no known format ({titles}){closest}; nothing was loaded. Its first keys:", *keys)


def _dictionary(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _description(attempt: _Attempt, tensors: Tensors, raw: Mapping[str, Any]) -> Described:
    """What the keys say, or for a file of ours its config or what a conversion noted."""
    if attempt.format is not FORMATS["ours"]:
        return attempt.format.describe(tensors)
    noted = _dictionary(raw.get("origin"))
    if noted:
        return Described(str(noted.get("method", "")), _dictionary(noted.get("options")))
    config = _dictionary(raw.get("config"))
    model, augmentation = _dictionary(config.get("model")), _dictionary(config.get("augmentation"))
    options = {name: value for name, value in _dictionary(model.get("kwargs")).items() if name in OPTIONS_OF_A_NETWORK}
    options |= {key: tuple(augmentation[key]) for key in ("mean", "std") if augmentation.get(key)}
    return Described(str(model.get("type", "")), options)


def read_checkpoint(path: Path) -> Imported:
    """Read a file and recognise its format by its keys; `UserError` where it fits none."""
    raw = read_weights_file(path)
    prefix, tensors = _without_prefix(_tensors_of(raw, path))
    best = _recognise(tensors, path)
    noted = _dictionary(raw.get("origin")) if best.format is FORMATS["ours"] else {}
    return Imported(
        path=path,
        format=best.format,
        origin=FORMATS.get(noted.get("format", ""), best.format),
        tensors=best.tensors,
        unknown=best.unknown,
        theirs=dict(zip(best.tensors, best.known)),
        prefix=str(noted.get("prefix", prefix)),
        described=_description(best, tensors, raw),
        exceptions=_dictionary(noted.get("names")),
        run_config=_dictionary(raw.get("config")) if best.format is FORMATS["ours"] and "optimizer" in raw else {},
    )
