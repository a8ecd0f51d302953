"""Conversions are bit for bit the same there and back, for every format and every kind of network."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from methods import build_method
from networks.checkpoint_formats import FORMATS
from networks.convert_checkpoint import main
from tests.methods.small_models import model_config
from tests.methods.test_parity import FIXTURES, file_contents, parity_lib
from tests.shared_material import needs_shared
from utils.errors import UserError

THIN = {"width": 8}
# name: (what the config's model section says, the formats that hold it)
NETWORKS: dict[str, tuple[dict[str, Any], str]] = {
    "tsn resnet18": ({}, "tsm mmaction2 torchvision"),
    "tsn resnet50": ({"backbone": "resnet50"}, "tsm mmaction2 torchvision"),
    "tsn mobilenetv2": ({"backbone": "mobilenetv2", "kwargs": {"width": 0.25}}, "tsm mmaction2 torchvision"),
    "tsm resnet50": ({"type": "tsm", "backbone": "resnet50"}, "tsm mmaction2"),
    "tsm resnet101": ({"type": "tsm", "backbone": "resnet101"}, "tsm mmaction2"),
    "tsm mobilenetv2": ({"type": "tsm", "backbone": "mobilenetv2", "kwargs": {"width": 1.0}}, "tsm mmaction2"),
    "tsm block": ({"type": "tsm", "kwargs": {**THIN, "shift_place": "block"}}, "tsm"),
    "tsm non-local": ({"type": "tsm", "backbone": "resnet50", "kwargs": {**THIN, "non_local": True}}, "tsm"),
    "tsm pooled": ({"type": "tsm", "num_segments": 4, "kwargs": {**THIN, "temporal_pool": True}}, "tsm"),
    "slowfast": ({"type": "slowfast", "backbone": "resnet50"}, "mmaction2 pyslowfast pytorchvideo"),
    "slowfast without norm": ({"type": "slowfast", "kwargs": {**THIN, "lateral_norm": False}}, "mmaction2"),
    "slow": ({"type": "slow", "backbone": "resnet50"}, "mmaction2 pyslowfast pytorchvideo"),
    "fast": ({"type": "fast", "backbone": "resnet50"}, "pyslowfast"),
    "c2d": ({"type": "c2d", "backbone": "resnet50"}, "mmaction2 pyslowfast pytorchvideo"),
    "i3d": ({"type": "i3d", "backbone": "resnet50"}, "mmaction2 pyslowfast pytorchvideo"),
    "r2plus1d": ({"type": "r2plus1d", "backbone": "resnet50"}, "pytorchvideo"),
    "x3d": ({"type": "x3d", "backbone": "x3d_s", "kwargs": {}}, "mmaction2 pyslowfast"),
    "x3d as pytorchvideo has it": (
        {"type": "x3d", "backbone": "x3d_s", "kwargs": {"res2_shortcut_norm": False}},
        "pytorchvideo",
    ),
}  # fmt: skip
PAIRS = [(name, target) for name, (_, targets) in NETWORKS.items() for target in targets.split()]


def randomised(method: nn.Module) -> nn.Module:
    """Every tensor another one."""
    for number, value in enumerate(method.state_dict().values()):
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=torch.Generator().manual_seed(number)))
    return method


def write_ours(folder: Path, name: str) -> Path:
    """A checkpoint of a run of ours."""
    changes, _ = NETWORKS[name]
    model = model_config(**changes)
    state = {
        "model": randomised(build_method(model)).state_dict(),
        "optimizer": {},
        "config": {"model": model.model_dump()},
    }
    state["config"]["model"]["kwargs"] = dict(model.kwargs)
    torch.save(state, folder / "ours.pth")
    return folder / "ours.pth"


def convert(source: Path, target: str, out: Path) -> dict[str, Any]:
    assert main([str(source), "--to", target, str(out)]) == 0
    return torch.load(out, map_location="cpu", weights_only=True)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Equal keys, in the same order, and bits."""
    return list(one) == list(other) and all(
        value.dtype == other[key].dtype and torch.equal(value, other[key]) for key, value in one.items()
    )


def weights_of(contents: dict[str, Any], target: str) -> dict[str, torch.Tensor]:
    key = FORMATS[target].key
    return contents[key] if key else contents


@pytest.mark.parametrize(("name", "target"), PAIRS)
def test_ours_to_theirs_and_back(tmp_path: Path, name: str, target: str) -> None:
    ours = torch.load(write_ours(tmp_path, name), weights_only=True)["model"]
    theirs = weights_of(convert(tmp_path / "ours.pth", target, tmp_path / "theirs.pth"), target)
    assert len(theirs) == len(ours)
    assert not set(theirs) & set(ours)
    back = convert(tmp_path / "theirs.pth", "ours", tmp_path / "back.pth")
    assert same(back["model"], ours)
    again = weights_of(convert(tmp_path / "back.pth", target, tmp_path / "again.pth"), target)
    assert same(again, theirs)


# What a peer's own network of that kind calls a tensor; the fixtures hold the names of others.
NAMES = [
    ("r2plus1d", "pytorchvideo", "blocks.3.res_blocks.0.branch2.conv_b.conv_t.weight"),
    ("i3d", "pytorchvideo", "blocks.3.res_blocks.0.branch2.conv_a.weight"),
    ("i3d", "pytorchvideo", "blocks.6.proj.weight"),
    ("slow", "pytorchvideo", "blocks.5.proj.weight"),
    ("x3d as pytorchvideo has it", "pytorchvideo", "blocks.2.res_blocks.0.branch2.norm_b.1.block.0.weight"),
    ("x3d", "mmaction2", "backbone.layer1.0.se_module.fc1.weight"),
    ("tsm mobilenetv2", "mmaction2", "backbone.layer2.1.conv.0.net.bn.weight"),
    ("tsm block", "tsm", "base_model.layer1.0.net.conv1.weight"),
    ("tsm non-local", "tsm", "base_model.layer2.0.block.conv1.net.weight"),
    ("tsm non-local", "tsm", "base_model.layer2.0.nl.W.1.weight"),
    ("tsm pooled", "tsm", "base_model.layer2.net.0.conv1.net.weight"),
]


@pytest.mark.parametrize(("name", "target", "key"), NAMES)
def test_names_are_the_peers(tmp_path: Path, name: str, target: str, key: str) -> None:
    write_ours(tmp_path, name)
    assert key in weights_of(convert(tmp_path / "ours.pth", target, tmp_path / "theirs.pth"), target)


@needs_shared
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_peers_file_to_ours_and_back(tmp_path: Path, path: Path) -> None:
    target = {"official": "tsm"}.get(path.name.split("_")[0], path.name.split("_")[0])
    contents = file_contents(path.name, parity_lib().weights(json.loads(path.read_text())))
    torch.save(contents, tmp_path / "theirs.pth")
    convert(tmp_path / "theirs.pth", "ours", tmp_path / "ours.pth")
    again = convert(tmp_path / "ours.pth", target, tmp_path / "again.pth")
    assert same(weights_of(again, target), weights_of(contents, target))


@pytest.mark.parametrize("classifier", ["new_fc", "base_model.fc", "base_model.classifier"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_peers_own_variants_come_back(tmp_path: Path, classifier: str, prefix: str) -> None:
    name = "tsm mobilenetv2" if classifier.endswith("classifier") else "tsm resnet50"
    write_ours(tmp_path, name)
    usual = convert(tmp_path / "ours.pth", "tsm", tmp_path / "usual.pth")["state_dict"]
    variant = {f"{prefix}{key.replace('new_fc', classifier)}": value for key, value in usual.items()}
    torch.save({"state_dict": variant}, tmp_path / "variant.pth")
    convert(tmp_path / "variant.pth", "ours", tmp_path / "imported.pth")
    assert same(convert(tmp_path / "imported.pth", "tsm", tmp_path / "again.pth")["state_dict"], variant)


@pytest.mark.parametrize(
    ("name", "target", "holders"),
    [
        ("tsm resnet50", "pytorchvideo", "mmaction2, tsm can"),
        ("tsm resnet50", "torchvision", "mmaction2, tsm can"),
        ("slowfast", "tsm", "mmaction2, pyslowfast, pytorchvideo can"),
        ("r2plus1d", "pyslowfast", "pytorchvideo can"),
        ("tsm block", "mmaction2", "tsm can"),
        ("slowfast without norm", "pyslowfast", "mmaction2 can"),
        ("x3d", "pytorchvideo", "mmaction2, pyslowfast can"),
        ("x3d as pytorchvideo has it", "mmaction2", "pytorchvideo can"),
    ],
)
def test_what_a_target_cannot_hold_is_an_error_that_names_who_can(
    tmp_path: Path, name: str, target: str, holders: str
) -> None:
    write_ours(tmp_path, name)
    with pytest.raises(UserError, match=holders) as caught:
        main([str(tmp_path / "ours.pth"), "--to", target, str(tmp_path / "out.pth")])
    assert len(caught.value.lines) == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ours.pth"]


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    write_ours(tmp_path, "tsn resnet18")
    (tmp_path / "out.pth").mkdir()
    with pytest.raises(UserError, match=r"out\.pth: can't be written"):
        main([str(tmp_path / "ours.pth"), "--to", "tsm", str(tmp_path / "out.pth")])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["ours.pth", "out.pth"]
