"""The blobs of PySlowFast's Caffe2 model zoo: `res2_0_branch2a_bn_s` is `s2.pathway0_res0.branch2.a_bn.weight`."""

from collections.abc import Mapping

import torch

from networks.checkpoint_formats.renames import Rename, Table, Tensors

NORM_LEAVES = (("s", "weight"), ("b", "bias"), ("rm", "running_mean"), ("riv", "running_var"))
WEIGHT_LEAVES = (("w", "weight"), ("b", "bias"))
LAST_BLOCKS = {2: (2,), 3: (3,), 4: (5, 22)}  # of ResNet-50 and 101
NO_WEIGHTS = ("momentum", "lr", "model_iter", "epoch", "current_size")  # the optimiser's blobs


def _layer(caffe2: str, theirs: str) -> list[Rename]:
    return [Rename(f"{caffe2}_{leaf}", f"{theirs}.{word}") for leaf, word in WEIGHT_LEAVES]


def _norm(caffe2: str, theirs: str) -> list[Rename]:
    return [Rename(f"{caffe2}_bn_{leaf}", f"{theirs}.{word}") for leaf, word in NORM_LEAVES]


def _pathway(prefix: str, number: int) -> list[Rename]:
    stem = f"s1.pathway{number}_stem"
    rows = [*_norm(f"{prefix}res_conv1", f"{stem}.bn"), *_norm(f"{prefix}conv1", f"{stem}.bn")]
    rows += [*_layer(f"{prefix}conv1_xy", f"{stem}.conv_xy"), *_layer(f"{prefix}conv1", f"{stem}.conv")]
    caffe2, theirs = f"{prefix}res{{stage}}_{{block}}_branch", f"s{{stage}}.pathway{number}_res{{block}}.branch"
    rows += [*_norm(f"{caffe2}1", f"{theirs}1_bn"), *_layer(f"{caffe2}1", f"{theirs}1")]
    for fc in ("fc1", "fc2"):
        rows += _layer(f"{caffe2}2b_bn_{fc}", f"{theirs}2.se.{fc}")
    for letter in "abc":
        rows += _norm(f"{caffe2}2{letter}", f"{theirs}2.{letter}_bn")
        rows += _layer(f"{caffe2}2{letter}", f"{theirs}2.{letter}")
    return rows


def _fusion() -> list[Rename]:
    """The lateral convolutions hang on the last block of a stage."""
    rows = [*_norm("t_pool1_subsample", "s1_fuse.bn"), *_layer("t_pool1_subsample", "s1_fuse.conv_f2s")]
    for stage, blocks in LAST_BLOCKS.items():
        for block in blocks:
            caffe2 = f"t_res{stage}_{block}_branch2c_bn_subsample"
            rows += [*_norm(caffe2, f"s{stage}_fuse.bn"), *_layer(caffe2, f"s{stage}_fuse.conv_f2s")]
    return rows


HEAD = (
    *_layer("pred", "head.projection"),
    *_norm("conv_5", "head.conv_5_bn"),
    *_layer("conv_5", "head.conv_5"),
    *_layer("lin_5", "head.lin_5"),
)
TABLE = Table("caffe2", [*_fusion(), *_pathway("", 0), *_pathway("t_", 1), *HEAD])


def is_caffe2(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether these are blobs of a Caffe2 workspace."""
    return "pred_w" in tensors and any(key.endswith("_bn_riv") for key in tensors)


def from_caffe2(tensors: Tensors) -> Tensors:
    """Caffe2's blobs under PySlowFast's names, the optimiser's left out; other tensors as they are."""
    if not is_caffe2(tensors):
        return tensors
    blobs = {key: value for key, value in tensors.items() if not any(word in key for word in NO_WEIGHTS)}
    renamed = TABLE.to_ours(blobs)
    unknown = {key: blobs[key] for key in renamed.unknown}
    return {**{key: _sized(key, value) for key, value in renamed.tensors.items()}, **unknown}


def _sized(key: str, value: torch.Tensor) -> torch.Tensor:
    """X3D's inner linear layer may be kept as a matrix; PySlowFast's is a convolution."""
    return value[:, :, None, None, None] if key == "head.lin_5.weight" and value.ndim == 2 else value
