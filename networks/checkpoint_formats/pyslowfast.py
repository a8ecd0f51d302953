"""PySlowFast: stages s1 to s5 of pathways; its Caffe2 files are renamed to these names first (caffe2_names.py)."""

from collections.abc import Mapping

import torch

from networks.checkpoint_formats.caffe2_names import from_caffe2
from networks.checkpoint_formats.checkpoint_format import Described, Format, Options
from networks.checkpoint_formats.pathway_shapes import (
    has_res2_norm,
    lacks_lateral_norm,
    slowfast_settings,
    window_settings,
)
from networks.checkpoint_formats.renames import Rename, Table

PROJECTION = Rename("head.projection.{rest}", "classifier.{rest}")


def _blocks(pathway: int, ours: str) -> list[Rename]:
    theirs = f"s{{stage+2}}.pathway{pathway}_res{{block}}"
    ours = f"{ours}.{{stage}}.{{block}}"
    rows = [
        Rename(f"{theirs}.branch1.{{rest}}", f"{ours}.downsample.0.{{rest}}"),
        Rename(f"{theirs}.branch1_bn.{{rest}}", f"{ours}.downsample.1.{{rest}}"),
        Rename(f"{theirs}.branch2.se.{{rest}}", f"{ours}.se.{{rest}}"),
    ]
    for number, letter in enumerate("abc", start=1):
        rows.append(Rename(f"{theirs}.branch2.{letter}.{{rest}}", f"{ours}.conv{number}.{{rest}}"))
        rows.append(Rename(f"{theirs}.branch2.{letter}_bn.{{rest}}", f"{ours}.bn{number}.{{rest}}"))
    return rows


def _stem(pathway: int, ours: str) -> list[Rename]:
    return [
        Rename(f"s1.pathway{pathway}_stem.conv.{{rest}}", f"{ours}.0.{{rest}}"),
        Rename(f"s1.pathway{pathway}_stem.bn.{{rest}}", f"{ours}.1.{{rest}}"),
    ]


ONE_PATHWAY = (*_stem(0, "backbone.stem"), *_blocks(0, "backbone.stages"), PROJECTION)
SLOWFAST = (
    *_stem(0, "backbone.slow_stem"),
    *_stem(1, "backbone.fast_stem"),
    *_blocks(0, "backbone.slow_stages"),
    *_blocks(1, "backbone.fast_stages"),
    Rename("s{stage+1}_fuse.conv_f2s.{rest}", "backbone.laterals.{stage}.conv.{rest}"),
    Rename("s{stage+1}_fuse.bn.{rest}", "backbone.laterals.{stage}.bn.{rest}"),
    PROJECTION,
)
X3D = (
    Rename("s1.pathway0_stem.conv_xy.{rest}", "backbone.stem.0.{rest}"),
    Rename("s1.pathway0_stem.conv.{rest}", "backbone.stem.1.{rest}"),
    Rename("s1.pathway0_stem.bn.{rest}", "backbone.stem.2.{rest}"),
    *_blocks(0, "backbone.stages"),
    Rename("head.conv_5.{rest}", "backbone.head_conv.{rest}"),
    Rename("head.conv_5_bn.{rest}", "backbone.head_bn.{rest}"),
    Rename("head.lin_5.{rest}", "backbone.head_linear.{rest}", ones=3),
    PROJECTION,
)


def _settings(tensors: Mapping[str, torch.Tensor], method: str) -> Options:
    settings = {**window_settings(method), **slowfast_settings(tensors, method)}
    settings |= {"average_positions": "probabilities", "slow_frames": "linspace", "res2_shortcut_norm": True}
    return {**settings, "mean": (0.45,) * 3, "std": (0.225,) * 3}


def _describe(tensors: Mapping[str, torch.Tensor]) -> Described:
    if any(key.startswith("s1.pathway1") for key in tensors):
        return Described("slowfast", {})
    return Described("x3d" if any(key.startswith("head.conv_5") for key in tensors) else "", {})


def _limit(tensors: Mapping[str, torch.Tensor], _: Described) -> str:
    if lacks_lateral_norm(tensors):
        return "its laterals have a batch norm"
    return "its X3D's first shortcut has a batch norm" if has_res2_norm(tensors) is False else ""


PYSLOWFAST = Format(
    name="pyslowfast",
    title="PySlowFast",
    key="model_state",
    tables=(Table("one pathway", ONE_PATHWAY), Table("slowfast", SLOWFAST), Table("x3d", X3D)),
    unwrap=from_caffe2,
    describe=_describe,
    settings=_settings,
    limit=_limit,
    methods=frozenset({"slowfast", "slow", "fast", "c2d", "i3d", "x3d"}),
)
