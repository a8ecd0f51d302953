"""Which convolutions of a 2D network TSM wraps, read off our keys and shapes: peers' names say so, ours don't."""

import re
from collections.abc import Mapping
from typing import Any

import torch

DEEP_STAGE = 23  # blocks in a stage from which on every second one is shifted only
STRIDED = (2, 4, 7, 14)  # MobileNetV2's blocks that halve the picture: they have no identity

_RESNET_BLOCK = re.compile(r"backbone\.layer(\d+)\.(\d+)\.conv1\.weight")
_MOBILENET_BLOCK = re.compile(r"backbone\.features\.(\d+)\.conv\.3\.weight")  # of the blocks that expand

Place = tuple[int, int]


def resnet_blocks(tensors: Mapping[str, torch.Tensor]) -> list[Place]:
    """(layer, block) of all residual blocks."""
    matches = (_RESNET_BLOCK.fullmatch(key) for key in tensors)
    return [(int(match[1]), int(match[2])) for match in matches if match]


def shifted_resnet_blocks(tensors: Mapping[str, torch.Tensor], options: Mapping[str, Any]) -> set[Place]:
    """(layer, block) of the blocks that a TSM with these `options` shifts."""
    blocks = resnet_blocks(tensors)
    deep = any(block >= DEEP_STAGE - 1 for _, block in blocks)
    every = 2 if deep and options.get("shift_place", "blockres") == "blockres" else 1
    return {(layer, block) for layer, block in blocks if block % every == 0}


def shifted_mobilenet_blocks(tensors: Mapping[str, torch.Tensor]) -> set[int]:
    """Numbers of the blocks that a TSM shifts: those that expand and have an identity."""
    shifted = set()
    for key in tensors:
        match = _MOBILENET_BLOCK.fullmatch(key)
        if match is None or int(match[1]) in STRIDED:
            continue
        block = f"backbone.features.{match[1]}.conv"
        if tensors[f"{block}.0.0.weight"].shape[1] == tensors[f"{block}.2.weight"].shape[0]:
            shifted.add(int(match[1]))
    return shifted
