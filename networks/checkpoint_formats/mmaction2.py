"""mmaction2, 0.x and 1.x: ConvModules (`conv1.conv`, `conv1.bn`) in `backbone`, the classifier in `cls_head`."""

import re
from collections.abc import Mapping
from typing import Any

import torch

from networks.checkpoint_formats.checkpoint_format import Described, Format, Options
from networks.checkpoint_formats.image_shifts import shifted_mobilenet_blocks, shifted_resnet_blocks
from networks.checkpoint_formats.pathway_shapes import has_res2_norm, slowfast_settings
from networks.checkpoint_formats.renames import Rename, Table, Tensors

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
FC = Rename("cls_head.fc_cls.{rest}", "classifier.{rest}")
PATHWAYS = ("slow", "fast")
BLOCKS_OF_LAYER = (1, 2, 3, 4, 3, 3, 1)  # MobileNetV2
PARTS = ("conv", "bn")


def _resnet_blocks(theirs: str, ours: str) -> list[Rename]:
    """The rows of a residual block: `theirs` and `ours` are what its keys start with."""
    rows = [Rename(f"{theirs}.conv{number}.conv.{{rest}}", f"{ours}.conv{number}.{{rest}}") for number in (1, 2, 3)]
    rows += [Rename(f"{theirs}.conv{number}.bn.{{rest}}", f"{ours}.bn{number}.{{rest}}") for number in (1, 2, 3)]
    rows += [
        Rename(f"{theirs}.downsample.{part}.{{rest}}", f"{ours}.downsample.{place}.{{rest}}")
        for place, part in enumerate(PARTS)
    ]
    return rows


def _non_local(theirs: str, ours: str) -> list[Rename]:
    names = (("g.0.conv", "g"), ("phi.0.conv", "phi"), ("theta.conv", "theta"))
    rows = [
        Rename(f"{theirs}.non_local_block.{peer}.{{rest}}", f"{ours}.non_local.{our}.{{rest}}") for peer, our in names
    ]
    rows += [
        Rename(f"{theirs}.non_local_block.conv_out.{part}.{{rest}}", f"{ours}.non_local.{our}.{{rest}}")
        for part, our in (("conv", "out"), ("bn", "bn"))
    ]
    return rows


IMAGE_RESNET = (
    Rename("backbone.conv1.conv.{rest}", "backbone.conv1.{rest}"),
    Rename("backbone.conv1.bn.{rest}", "backbone.bn1.{rest}"),
    *_resnet_blocks("backbone.layer{stage}.{block}", "backbone.layer{stage}.{block}"),
    *_non_local("backbone.layer{stage}.{block}", "backbone.layer{stage}.{block}"),
    FC,
)
VIDEO_RESNET = (
    Rename("backbone.conv1.conv.{rest}", "backbone.stem.0.{rest}"),
    Rename("backbone.conv1.bn.{rest}", "backbone.stem.1.{rest}"),
    *_resnet_blocks("backbone.layer{stage+1}.{block}", "backbone.stages.{stage}.{block}"),
    FC,
)
X3D = (
    Rename("backbone.conv1_s.conv.{rest}", "backbone.stem.0.{rest}"),
    Rename("backbone.conv1_t.conv.{rest}", "backbone.stem.1.{rest}"),
    Rename("backbone.conv1_t.bn.{rest}", "backbone.stem.2.{rest}"),
    *_resnet_blocks("backbone.layer{stage+1}.{block}", "backbone.stages.{stage}.{block}"),
    Rename("backbone.layer{stage+1}.{block}.se_module.{rest}", "backbone.stages.{stage}.{block}.se.{rest}"),
    Rename("backbone.conv5.conv.{rest}", "backbone.head_conv.{rest}"),
    Rename("backbone.conv5.bn.{rest}", "backbone.head_bn.{rest}"),
    Rename("cls_head.fc1.{rest}", "backbone.head_linear.{rest}"),
    Rename("cls_head.fc2.{rest}", "classifier.{rest}"),
)


def _slowfast() -> list[Rename]:
    rows = [FC]
    for path in PATHWAYS:
        rows += [
            Rename(f"backbone.{path}_path.conv1.{part}.{{rest}}", f"backbone.{path}_stem.{place}.{{rest}}")
            for place, part in enumerate(PARTS)
        ]
        rows += _resnet_blocks(
            f"backbone.{path}_path.layer{{stage+1}}.{{block}}", f"backbone.{path}_stages.{{stage}}.{{block}}"
        )
    for part in PARTS:
        rows.append(Rename(f"backbone.slow_path.conv1_lateral.{part}.{{rest}}", f"backbone.laterals.0.{part}.{{rest}}"))
        rows.append(
            Rename(
                f"backbone.slow_path.layer{{stage}}_lateral.{part}.{{rest}}",
                f"backbone.laterals.{{stage}}.{part}.{{rest}}",
            )
        )
    return rows


def _mobilenet() -> list[Rename]:
    """Layers of blocks there, one list of blocks here."""
    rows = [
        Rename(f"backbone.{theirs}.{part}.{{rest}}", f"backbone.features.{ours}.{place}.{{rest}}")
        for theirs, ours in (("conv1", 0), ("conv2", 18))
        for place, part in enumerate(PARTS)
    ]
    blocks = [(layer, index) for layer, count in enumerate(BLOCKS_OF_LAYER, start=1) for index in range(count)]
    for number, (layer, index) in enumerate(blocks, start=1):
        modules = ("0.0", "0.1", "1", "2") if number == 1 else ("0.0", "0.1", "1.0", "1.1", "2", "3")
        for place, ours in enumerate(modules):
            theirs = f"backbone.layer{layer}.{index}.conv.{place // 2}.{PARTS[place % 2]}"
            rows.append(Rename(f"{theirs}.{{rest}}", f"backbone.features.{number}.conv.{ours}.{{rest}}"))
    return [*rows, FC]


_NON_LOCAL = re.compile(r"^(backbone\.layer\d+\.\d+)\.block\.")
_CONV_SHIFT = re.compile(r"^(backbone\.layer\d+\.\d+\.conv1\.conv)\.net\.")
_MODULE_SHIFT = re.compile(r"^(backbone\.layer\d+\.\d+\.conv\.0)\.net\.")
_RESNET_KEY = re.compile(r"(backbone\.layer(\d+)\.(\d+))\.(.+)")
_MOBILENET_KEY = re.compile(r"(backbone\.layer(\d+)\.(\d+)\.conv\.0)\.(.+)")


def _of_images(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Names are the same for 2D and 3D networks; C2D's are 2D."""
    return any(value.ndim == 4 for value in tensors.values())


def _of_clips(tensors: Mapping[str, torch.Tensor]) -> bool:
    return not _of_images(tensors)


def _is_slowfast(tensors: Mapping[str, torch.Tensor]) -> bool:
    return any(key.startswith(("backbone.fast_path.", "backbone.fast_stages.")) for key in tensors)


def _fast_width(tensors: Mapping[str, torch.Tensor], last_norm: str) -> int:
    return tensors[last_norm].shape[0]


def _rolled(tensors: Tensors, classifier: str, by: int) -> Tensors:
    """SlowFast's classifier with its columns moved: mmaction2 joins fast and slow features, we slow and fast ones."""
    return {key: value.roll(by, dims=1) if key == classifier else value for key, value in tensors.items()}


def _unwrap(tensors: Tensors) -> Tensors:
    if _is_slowfast(tensors):
        norm = "backbone.fast_path.layer4.0.downsample.bn.weight"
        by = -_fast_width(tensors, norm) if norm in tensors else 0
        return _rolled(tensors, "cls_head.fc_cls.weight", by)
    plain = {}
    for key, value in tensors.items():
        for wrapper in (_NON_LOCAL, _CONV_SHIFT, _MODULE_SHIFT):
            key = wrapper.sub(r"\1.", key)
        plain[key] = value
    return plain


def _wrap(tensors: Tensors, ours: Tensors, described: Described) -> Tensors:
    if _is_slowfast(ours):
        width = _fast_width(ours, "backbone.fast_stages.3.0.downsample.1.weight")
        return _rolled(tensors, "cls_head.fc_cls.weight", width)
    if described.method != "tsm":
        return tensors
    blocks, numbers = shifted_resnet_blocks(ours, described.options), shifted_mobilenet_blocks(ours)
    wrapped = {}
    for key, value in tensors.items():
        if match := _MOBILENET_KEY.fullmatch(key):
            number = sum(BLOCKS_OF_LAYER[: int(match[2]) - 1]) + int(match[3]) + 1
            key = f"{match[1]}.net.{match[4]}" if number in numbers else key
        elif match := _RESNET_KEY.fullmatch(key):
            shifted = (int(match[2]), int(match[3])) in blocks
            inside = re.sub(r"^conv1\.conv\.", "conv1.conv.net.", match[4]) if shifted else match[4]
            has_non_local = f"{match[1]}.non_local.theta.weight" in ours and not inside.startswith("non_local_block.")
            key = f"{match[1]}.{'block.' if has_non_local else ''}{inside}"
        wrapped[key] = value
    return wrapped


def _describe(tensors: Mapping[str, torch.Tensor]) -> Described:
    if _is_slowfast(tensors):
        return Described("slowfast", {})
    if any(value.ndim == 5 for key, value in tensors.items() if ".non_local_block." not in key):
        return Described("", {})
    options: Options = {"non_local": True} if any(".non_local_block." in key for key in tensors) else {}
    inner = [_NON_LOCAL.sub(r"\1.", key) for key in tensors]
    shifted = any(_CONV_SHIFT.match(key) or _MODULE_SHIFT.match(key) for key in inner)
    return Described("tsm" if shifted else "tsn", options)


def _settings(tensors: Mapping[str, torch.Tensor], method: str) -> Options:
    """What mmaction2's networks do otherwise than PySlowFast's, which ours follow."""
    if method == "x3d":
        return {"head_pool": 0, "res2_shortcut_norm": True}
    settings: dict[str, Any] = {**IMAGENET, "head_pool": 0, **slowfast_settings(tensors, method)}
    if method == "slowfast":
        settings["slow_frames"] = "strided"
    if method == "i3d":
        settings |= {"stem_stride": 2, "pool1_stride": 2}
    if method == "c2d":
        settings["pool1_padding"] = 0
    return settings


def _implied(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Its non-local blocks' last convolution has no bias."""
    weight, bias = ".non_local.out.weight", ".non_local.out.bias"
    return {
        key.replace(weight, bias): value.new_zeros(len(value)) for key, value in tensors.items() if key.endswith(weight)
    }


def _limit(tensors: Mapping[str, torch.Tensor], described: Described) -> str:
    if described.options.get("shift_place", "blockres") != "blockres" or described.options.get("temporal_pool"):
        return "its TSM shifts inside blocks and has no temporal pool"
    return "its X3D's first shortcut has a batch norm" if has_res2_norm(tensors) is False else ""


MMACTION2 = Format(
    name="mmaction2",
    title="mmaction2",
    key="state_dict",
    tables=(
        Table("resnet", IMAGE_RESNET, fits=_of_images),
        Table("video resnet", VIDEO_RESNET, fits=_of_clips),
        Table("mobilenetv2", _mobilenet()),
        Table("slowfast", _slowfast()),
        Table("x3d", X3D),
    ),
    unwrap=_unwrap,
    wrap=_wrap,
    describe=_describe,
    settings=_settings,
    implied=_implied,
    limit=_limit,
    harmless=("data_preprocessor.", "cls_head.loss_cls."),
    methods=frozenset({"tsn", "tsm", "slowfast", "slow", "c2d", "i3d", "x3d"}),
)
