"""pytorchvideo's hub: networks as lists of `blocks`; C2D and I3D have a pooling block after res2."""

from collections.abc import Mapping

import torch

from networks.checkpoint_formats.checkpoint_format import Described, Format, Options
from networks.checkpoint_formats.pathway_shapes import (
    frames_of,
    has_res2_norm,
    lacks_lateral_norm,
    slowfast_settings,
    window_settings,
)
from networks.checkpoint_formats.renames import Rename, Table


def _block(theirs: str, ours: str) -> list[Rename]:
    rows = [
        Rename(f"{theirs}.branch1_conv.{{rest}}", f"{ours}.downsample.0.{{rest}}"),
        Rename(f"{theirs}.branch1_norm.{{rest}}", f"{ours}.downsample.1.{{rest}}"),
    ]
    for number, letter in enumerate("abc", start=1):
        rows.append(Rename(f"{theirs}.branch2.conv_{letter}.{{rest}}", f"{ours}.conv{number}.{{rest}}"))
        rows.append(Rename(f"{theirs}.branch2.norm_{letter}.{{rest}}", f"{ours}.bn{number}.{{rest}}"))
    return rows


STEM = (
    Rename("blocks.0.conv.{rest}", "backbone.stem.0.{rest}"),
    Rename("blocks.0.norm.{rest}", "backbone.stem.1.{rest}"),
)
BLOCK, OUR_BLOCK = "blocks.{stage+1}.res_blocks.{block}", "backbone.stages.{stage}.{block}"
FACTORED = tuple(  # R(2+1)D's middle convolution
    Rename(f"{BLOCK}.branch2.conv_b.{theirs}.{{rest}}", f"{OUR_BLOCK}.conv2.{ours}.{{rest}}")
    for theirs, ours in (("conv_t", 0), ("norm", 1), ("conv_xy", 3))
)
SQUEEZE = (  # X3D's second norm shares a list with its squeeze-excitation
    Rename(f"{BLOCK}.branch2.norm_b.0.{{rest}}", f"{OUR_BLOCK}.bn2.{{rest}}"),
    Rename(f"{BLOCK}.branch2.norm_b.1.block.0.{{rest}}", f"{OUR_BLOCK}.se.fc1.{{rest}}"),
    Rename(f"{BLOCK}.branch2.norm_b.1.block.2.{{rest}}", f"{OUR_BLOCK}.se.fc2.{{rest}}"),
)
RESNET = (*STEM, *_block(BLOCK, OUR_BLOCK), Rename("blocks.5.proj.{rest}", "classifier.{rest}"))
R2PLUS1D = (*FACTORED, *RESNET)
POOLED = (
    *STEM,
    *_block("blocks.1.res_blocks.{block}", "backbone.stages.0.{block}"),
    *_block("blocks.{stage+2}.res_blocks.{block}", "backbone.stages.{stage}.{block}"),
    Rename("blocks.6.proj.{rest}", "classifier.{rest}"),
)
X3D = (
    # Their names of the stem's two convolutions are the wrong way round: "conv_t" is 1x3x3.
    Rename("blocks.0.conv.conv_t.{rest}", "backbone.stem.0.{rest}"),
    Rename("blocks.0.conv.conv_xy.{rest}", "backbone.stem.1.{rest}"),
    Rename("blocks.0.norm.{rest}", "backbone.stem.2.{rest}"),
    *SQUEEZE,
    *_block(BLOCK, OUR_BLOCK),
    Rename("blocks.5.pool.pre_conv.{rest}", "backbone.head_conv.{rest}"),
    Rename("blocks.5.pool.pre_norm.{rest}", "backbone.head_bn.{rest}"),
    Rename("blocks.5.pool.post_conv.{rest}", "backbone.head_linear.{rest}", ones=3),
    Rename("blocks.5.proj.{rest}", "classifier.{rest}"),
)


def _slowfast() -> list[Rename]:
    rows = [
        Rename("blocks.{stage}.multipathway_fusion.conv_fast_to_slow.{rest}", "backbone.laterals.{stage}.conv.{rest}"),
        Rename("blocks.{stage}.multipathway_fusion.norm.{rest}", "backbone.laterals.{stage}.bn.{rest}"),
    ]
    for number, name in enumerate(("slow", "fast")):
        stem = f"blocks.0.multipathway_blocks.{number}"
        rows.append(Rename(f"{stem}.conv.{{rest}}", f"backbone.{name}_stem.0.{{rest}}"))
        rows.append(Rename(f"{stem}.norm.{{rest}}", f"backbone.{name}_stem.1.{{rest}}"))
        rows += _block(
            f"blocks.{{stage+1}}.multipathway_blocks.{number}.res_blocks.{{block}}",
            f"backbone.{name}_stages.{{stage}}.{{block}}",
        )
    return [*rows, Rename("blocks.6.proj.{rest}", "classifier.{rest}")]


def is_pooled(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether our `tensors` are a C2D's or an I3D's, which pool time after res2, by their convolutions' lengths."""
    lengths = [frames_of(tensors, key) for key in ("stem.0", "stages.1.1.conv1", "stages.3.0.conv1")]
    return lengths in ([1, 1, 1], [5, 1, 1]) and frames_of(tensors, "stages.0.0.conv2") > 0


def _is_plain(tensors: Mapping[str, torch.Tensor]) -> bool:
    return not is_pooled(tensors) and frames_of(tensors, "stages.0.0.conv2") > 0


def _is_factored(tensors: Mapping[str, torch.Tensor]) -> bool:
    return "backbone.stages.0.0.conv2.0.weight" in tensors


def _settings(tensors: Mapping[str, torch.Tensor], method: str) -> Options:
    settings = {**window_settings(method), **slowfast_settings(tensors, method)}
    average = "probabilities" if method == "r2plus1d" else "logits"  # its R(2+1)D ends in a softmax at each position
    settings |= {"average_positions": average, "slow_frames": "linspace", "res2_shortcut_norm": False}
    return {**settings, "mean": (0.45,) * 3, "std": (0.225,) * 3}


def _describe(tensors: Mapping[str, torch.Tensor]) -> Described:
    if any(".multipathway_" in key for key in tensors):
        return Described("slowfast", {})
    if any(".pool.pre_conv." in key for key in tensors):
        return Described("x3d", {})
    return Described("r2plus1d" if any(".conv_b.conv_t." in key for key in tensors) else "", {})


def _limit(tensors: Mapping[str, torch.Tensor], _: Described) -> str:
    if lacks_lateral_norm(tensors):
        return "its laterals have a batch norm"
    return "its X3D's first shortcut has no batch norm" if has_res2_norm(tensors) else ""


PYTORCHVIDEO = Format(
    name="pytorchvideo",
    title="pytorchvideo",
    key="model_state",
    tables=(
        Table("resnet", RESNET, fits=_is_plain),
        Table("pooled resnet", POOLED, fits=is_pooled),
        Table("r2plus1d", R2PLUS1D, fits=_is_factored),
        Table("slowfast", _slowfast()),
        Table("x3d", X3D),
    ),
    describe=_describe,
    settings=_settings,
    limit=_limit,
    methods=frozenset({"slowfast", "slow", "c2d", "i3d", "r2plus1d", "x3d"}),
)
