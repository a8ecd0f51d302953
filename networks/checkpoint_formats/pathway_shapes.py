"""What the shapes of a 3D network's tensors, under our keys, say of its options."""

from collections.abc import Mapping

import torch

from networks.checkpoint_formats.checkpoint_format import Options

HEAD_POOL = 7  # 224 / 32: the side of the window of the published networks' heads
DEEP_RES4 = 23  # blocks, of ResNet-101


def frames_of(tensors: Mapping[str, torch.Tensor], layer: str) -> int:
    """Length in time of a convolution of the backbone; 0 where there is none."""
    weight = tensors.get(f"backbone.{layer}.weight")
    return weight.shape[2] if weight is not None and weight.ndim == 5 else 0


def window_settings(method: str) -> Options:
    """The head's window of PySlowFast and pytorchvideo; X3D's follows the crop it was trained at, not its weights."""
    return {} if method == "x3d" else {"head_pool": HEAD_POOL}


def _blocks_in_time(tensors: Mapping[str, torch.Tensor], stage: str) -> int:
    """How many blocks of a stage look at neighbours in time; 0 where all do."""
    lengths: list[int] = []
    while length := frames_of(tensors, f"{stage}.{len(lengths)}.conv1"):
        lengths.append(length)
    count = sum(length > 1 for length in lengths)
    return 0 if count == len(lengths) else count


def slowfast_settings(tensors: Mapping[str, torch.Tensor], method: str) -> Options:
    """SlowFast's laterals (length, batch norm, the alpha that was published with them) and its res4."""
    fusion = frames_of(tensors, "laterals.0.conv")
    if method != "slowfast" or not fusion:
        return {}
    settings: Options = {
        "fusion_kernel": fusion,
        "lateral_norm": "backbone.laterals.0.bn.weight" in tensors,
        "slow_res4_blocks": _blocks_in_time(tensors, "slow_stages.2"),
        "fast_res4_blocks": _blocks_in_time(tensors, "fast_stages.2"),
    }
    # Laterals of 7 frames are 8x8's, those of 5 are 4x16's; but every published ResNet-101 has 5 and alpha 4.
    deep = frames_of(tensors, f"slow_stages.2.{DEEP_RES4 - 1}.conv1") > 0
    return settings | ({"alpha": 4} if fusion == 7 or deep else {})


def lacks_lateral_norm(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether this is a SlowFast whose laterals have no batch norm, as mmaction2's."""
    return "backbone.laterals.0.conv.weight" in tensors and "backbone.laterals.0.bn.weight" not in tensors


def has_res2_norm(tensors: Mapping[str, torch.Tensor]) -> bool | None:
    """Whether an X3D's first shortcut has a batch norm (all systems but pytorchvideo); None: not an X3D."""
    return "backbone.stages.0.0.downsample.1.weight" in tensors if "backbone.head_conv.weight" in tensors else None
