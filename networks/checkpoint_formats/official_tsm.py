"""The official TSM and TSN repositories: torchvision's names in `base_model`, wrappers around what TSM adds."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from networks.checkpoint_formats.checkpoint_format import Described, Format
from networks.checkpoint_formats.image_shifts import Place, shifted_mobilenet_blocks, shifted_resnet_blocks
from networks.checkpoint_formats.renames import Rename, Table, Tensors

# The classifier of a network built with dropout 0, and of older MobileNetV2 files, sits in its old place.
CLASSIFIER = tuple(
    Rename(f"{place}.{{rest}}", "classifier.{rest}") for place in ("new_fc", "base_model.fc", "base_model.classifier")
)
BLOCK = "base_model.layer{stage}.{block}"
OUR_BLOCK = "backbone.layer{stage}.{block}"
RESNET = (
    Rename("base_model.conv1.{rest}", "backbone.conv1.{rest}"),
    Rename("base_model.bn1.{rest}", "backbone.bn1.{rest}"),
    Rename(f"{BLOCK}.nl.g.0.{{rest}}", f"{OUR_BLOCK}.non_local.g.{{rest}}"),
    Rename(f"{BLOCK}.nl.phi.0.{{rest}}", f"{OUR_BLOCK}.non_local.phi.{{rest}}"),
    Rename(f"{BLOCK}.nl.theta.{{rest}}", f"{OUR_BLOCK}.non_local.theta.{{rest}}"),
    Rename(f"{BLOCK}.nl.W.0.{{rest}}", f"{OUR_BLOCK}.non_local.out.{{rest}}"),
    Rename(f"{BLOCK}.nl.W.1.{{rest}}", f"{OUR_BLOCK}.non_local.bn.{{rest}}"),
    Rename(f"{BLOCK}.{{rest}}", f"{OUR_BLOCK}.{{rest}}"),
    *CLASSIFIER,
)


def _flat(theirs: int, ours: str, block: str = "{block}") -> Rename:
    """A layer in MobileNetV2's flat list of (convolution, norm, activation) there, in modules of three here."""
    return Rename(
        f"base_model.features.{block}.conv.{theirs}.{{rest}}", f"backbone.features.{block}.conv.{ours}.{{rest}}"
    )


MOBILENET = (
    *(_flat(theirs, ours, block="1") for theirs, ours in ((0, "0.0"), (1, "0.1"), (3, "1"), (4, "2"))),
    *(_flat(theirs, ours) for theirs, ours in ((0, "0.0"), (1, "0.1"), (3, "1.0"), (4, "1.1"), (6, "2"), (7, "3"))),
    Rename("base_model.features.{stage}.{part}.{rest}", "backbone.features.{stage}.{part}.{rest}"),
    *CLASSIFIER,
)

POOLED_LAYER = 2
_POOL = re.compile(r"^(base_model\.layer2)\.net\.")
_NON_LOCAL = re.compile(r"^(base_model\.layer\d+\.\d+)\.block\.")
_BLOCK_SHIFT = re.compile(r"^(base_model\.layer\d+\.\d+)\.net\.")
_CONV_SHIFT = re.compile(r"^(base_model\..+\.(?:conv1|conv\.0))\.net\.")
_RESNET_KEY = re.compile(r"base_model\.layer(\d+)\.(\d+)\.(.+)")
_MOBILENET_KEY = re.compile(r"base_model\.features\.(\d+)\.conv\.0\.(.+)")


def _unwrap(tensors: Tensors) -> Tensors:
    plain = {}
    for key, value in tensors.items():
        for wrapper in (_POOL, _NON_LOCAL, _BLOCK_SHIFT, _CONV_SHIFT):
            key = wrapper.sub(r"\1.", key)
        plain[key] = value
    return plain


def _describe(tensors: Mapping[str, torch.Tensor]) -> Described:
    pooled = any(_POOL.match(key) for key in tensors)
    inner = [_NON_LOCAL.sub(r"\1.", _POOL.sub(r"\1.", key)) for key in tensors]
    in_blocks = any(_BLOCK_SHIFT.match(key) for key in inner)
    non_local = any(".nl." in key for key in tensors)
    options: dict[str, Any] = {}
    if non_local:
        options["non_local"] = True
    if pooled:
        options["temporal_pool"] = True
    if in_blocks:
        options["shift_place"] = "block"
    shifted = in_blocks or any(_CONV_SHIFT.match(key) for key in inner)
    return Described("tsm" if shifted else "tsn", options)


def _wrap(tensors: Tensors, ours: Tensors, described: Described) -> Tensors:
    """Put the wrappers of TSM and of what it adds back."""
    if described.method != "tsm":
        return tensors
    blocks, numbers = shifted_resnet_blocks(ours, described.options), shifted_mobilenet_blocks(ours)
    return {_wrapped(key, ours, blocks, numbers, described): value for key, value in tensors.items()}


def _wrapped(key: str, ours: Tensors, blocks: set[Place], numbers: set[int], described: Described) -> str:
    if match := _MOBILENET_KEY.fullmatch(key):
        return key.replace(".conv.0.", ".conv.0.net.") if int(match[1]) in numbers else key
    match = _RESNET_KEY.fullmatch(key)
    if match is None:
        return key
    layer, block, inside = int(match[1]), int(match[2]), match[3]
    if not inside.startswith("nl."):
        if (layer, block) in blocks and described.options.get("shift_place") == "block":
            inside = f"net.{inside}"
        elif (layer, block) in blocks:
            inside = re.sub(r"^conv1\.", "conv1.net.", inside)
        if f"backbone.layer{layer}.{block}.non_local.theta.weight" in ours:
            inside = f"block.{inside}"
    pool = "net." if described.options.get("temporal_pool") and layer == POOLED_LAYER else ""
    return f"base_model.layer{layer}.{pool}{block}.{inside}"


OFFICIAL_TSM = Format(
    name="tsm",
    title="official TSM",
    key="state_dict",
    tables=(Table("resnet", RESNET), Table("mobilenetv2", MOBILENET)),
    unwrap=_unwrap,
    wrap=_wrap,
    describe=_describe,
    methods=frozenset({"tsn", "tsm"}),
)
