"""From the config's `model` section to a method, and what is said of mistakes in it."""

import logging
from pathlib import Path

import pytest
import torch
from torch import nn

from methods import build_method, kwargs_mistakes
from methods.image import Image
from methods.method import Method
from methods.slowfast import SlowFast
from methods.tsm import TSM
from methods.tsn import TSN
from networks.pretrained import read_state_dict
from networks.resnet import ResNet
from tests.methods.small_models import model_config
from tests.shared_material import SHARED, needs_shared
from tests.utils.written_config import GOOD, write
from utils.config_file import load_config
from utils.errors import UserError

SLOWFAST = ["type=slowfast", "pretrained=False"]
MOBILENET = ["backbone=mobilenetv2"]


def mistakes_of(folder: Path, overrides: list[str]) -> list[str]:
    """Lines on the good TSM config with `overrides` of its model section, without where they were found."""
    path = write(folder, GOOD)
    with pytest.raises(UserError) as caught:
        load_config(path, [f"common.model.{each}" for each in ["kwargs={}", *overrides]], checks=(kwargs_mistakes,))
    return [line.split(": common.model", 1)[1].lstrip(".") for line in caught.value.lines]


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["type=tms"], "type: got 'tms', needs one of tsn, tsm, "),
        (["backbone=resnet5O"], "backbone: got 'resnet5O', needs one of resnet18, resnet34, resnet50, "),
        ([*SLOWFAST, "backbone=mobilenetv2"], "backbone: got 'mobilenetv2', needs one of resnet18, "),
        (["kwargs.shiftdiv=8"], "kwargs.shiftdiv: no such option: neither tsm, nor resnet50, nor sync-BN takes it; "),
        (["kwargs.t=6"], "kwargs.t: no such option: neither tsm, nor resnet50, nor sync-BN takes it; "),
        (["type=tsn", "kwargs.shift_div=8"], "kwargs.shift_div: no such option: neither tsn, "),
        (["kwargs.depth=18"], "kwargs.depth: no such option"),
        (["kwargs.in_channels=3"], "kwargs.in_channels: no such option"),
        (["kwargs.num_class=3"], "kwargs.num_class: no such option"),
        (["kwargs.dropout=0.5"], "kwargs.dropout: no such option"),
        (["kwargs.shift_div=8.0"], "kwargs.shift_div: got 8.0, needs a whole number, e.g. 8"),
        (["kwargs.shift_div=True"], "kwargs.shift_div: got True, needs a whole number, e.g. 8"),
        (["kwargs.shift_div=null"], "kwargs.shift_div: got None, needs a whole number, e.g. 8"),
        (["kwargs.shift_div=[8]"], "kwargs.shift_div: got [8], needs a whole number, e.g. 8"),
        (["kwargs.partial_bn=1"], "kwargs.partial_bn: got 1, needs True or False, e.g. False"),
        ([*MOBILENET, "kwargs.width=wide"], "kwargs.width: got 'wide', needs a number, e.g. 1.0"),
        ([*SLOWFAST, "kwargs.slow_frames=3"], "kwargs.slow_frames: got 3, needs a word, e.g. 'linspace'"),
        (["kwargs.shift_div=1"], "kwargs.shift_div: got 1, needs at least 2"),
        (["kwargs.shift_div=65"], "kwargs.shift_div: got 65, needs at most 64"),
        (["kwargs.width=0"], "kwargs.width: got 0, needs at least 1"),
        ([*MOBILENET, "kwargs.t=0"], "kwargs.t: got 0, needs at least 1"),
        ([*MOBILENET, "kwargs.t=1"], "kwargs.t: MobileNetV2 has no block that expands"),
        ([*MOBILENET, "kwargs.width=-1"], "kwargs.width: got -1, needs a number above 0"),
        ([*SLOWFAST, "kwargs.alpha=5"], "kwargs.alpha: got 5, needs a divisor of num_frames 32"),
        ([*SLOWFAST, "kwargs.alpha=0"], "kwargs.alpha: got 0, needs "),
        ([*SLOWFAST, "num_frames=12"], "kwargs.alpha: got 8, needs a divisor of num_frames 12"),
        ([*SLOWFAST, "kwargs.beta=0"], "kwargs.beta: got 0, needs a divisor of the width 64"),
        ([*SLOWFAST, "kwargs.beta=-8"], "kwargs.beta: got -8, needs a divisor of the width 64"),
        ([*SLOWFAST, "kwargs.fusion_kernel=4"], "kwargs.fusion_kernel: got 4, needs an odd number"),
        ([*SLOWFAST, "kwargs.slow_frames=nearest"], "kwargs.slow_frames: got 'nearest', needs one of "),
        ([*SLOWFAST, "modality=Flow"], "modality: got Flow, slowfast takes RGB"),
        (["type=image", "modality=Flow"], "modality: got Flow, image takes RGB"),
        (["type=slowfast"], "pretrained: got True, but no ImageNet weights fit slowfast: set it to False"),
        (["num_class=1000000000000000000"], ": got sizes that no layer can have ("),
        ([*MOBILENET, "kwargs.width=1.0e+30"], ": got sizes that no layer can have ("),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line_that_names_its_key(tmp_path: Path, overrides: list[str], line: str) -> None:
    (found,) = mistakes_of(tmp_path, overrides)
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("overrides", "hint"),
    [(["type=slowfst"], "'slowfast'"), (["backbone=resnet5O"], "'resnet50'"), (["kwargs.shiftdiv=8"], "'shift_div'"),
     (["kwargs.bn_groupsize=8"], "'bn_group_size'"), ([*SLOWFAST, "kwargs.alfa=8"], "'alpha'")],
)  # fmt: skip
def test_the_closest_name_is_offered(tmp_path: Path, overrides: list[str], hint: str) -> None:
    (found,) = mistakes_of(tmp_path, overrides)
    assert found.endswith(f"Did you mean {hint}?")


def test_several_mistakes_in_one_report(tmp_path: Path) -> None:
    found = mistakes_of(tmp_path, [*SLOWFAST, "pretrained=True", "kwargs.alpha=x", "kwargs.t=6", "kwargs.beta=1.5"])
    assert sorted(line.split(":")[0] for line in found) == ["kwargs.alpha", "kwargs.beta", "kwargs.t", "pretrained"]


def test_the_engines_options_are_left_to_the_engine(tmp_path: Path) -> None:
    overrides = ["common.model.kwargs={bn_group_size: 16, bn_sync_stats: True, shift_div: 4}"]
    load_config(write(tmp_path, GOOD), overrides, checks=(kwargs_mistakes,))


@pytest.mark.parametrize(
    ("changes", "method_type"),
    [({"type": "tsn"}, TSN), ({"type": "tsm"}, TSM), ({"type": "slowfast"}, SlowFast), ({"type": "image"}, Image),
     ({"type": "tsm", "backbone": "mobilenetv2", "kwargs": {"width": 0.25, "t": 2}}, TSM)],
)  # fmt: skip
def test_options_go_to_who_takes_them(changes: dict, method_type: type[Method]) -> None:
    method = build_method(model_config(dropout=0.25, num_class=7, **changes))
    assert type(method) is method_type
    assert method.training
    assert (method.dropout.p, method.classifier.out_features) == (0.25, 7)


def test_an_option_of_both_method_and_backbone_reaches_both() -> None:
    kwargs = {"width": 8, "alpha": 4, "fusion_kernel": 7, "slow_frames": "strided"}
    method = build_method(model_config(type="slowfast", num_frames=16, stride=3, kwargs=kwargs)).eval()
    assert (method.alpha, method.stride) == (4, 3)
    assert (method.backbone.laterals[0].conv.stride, method.backbone.laterals[0].conv.kernel_size[0]) == ((4, 1, 1), 7)
    with torch.no_grad():
        assert method(torch.randn(1, 16, 3, 32, 32)).shape == (1, 3)


def test_a_seed_gives_the_same_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build_method(model_config()).state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def saved(path: Path, contents: dict[str, object]) -> str:
    torch.save(contents, path)
    return str(path)


def distinct(method: Method) -> Method:
    """Weights unlike those of any fresh method."""
    with torch.no_grad():
        for number, parameter in enumerate(method.parameters()):
            parameter.fill_(number + 1)
    return method


def test_a_checkpoint_of_ours_is_loaded_whole(tmp_path: Path) -> None:
    source = distinct(build_method(model_config(type="tsm")))
    path = saved(tmp_path / "ckpt.pth.tar", {"model": source.state_dict(), "iteration": 5, "config": {"seed": 0}})
    method = build_method(model_config(type="tsm", pretrained=path))
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in method.state_dict().items())


def test_a_tsn_starts_a_tsm(tmp_path: Path) -> None:
    source = distinct(build_method(model_config(type="tsn")))
    path = saved(tmp_path / "ckpt.pth.tar", {"model": source.state_dict()})
    method = build_method(model_config(type="tsm", pretrained=path))
    assert all(torch.equal(value, source.state_dict()[key]) for key, value in method.state_dict().items())


def test_with_another_number_of_classes_the_classifier_starts_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = distinct(build_method(model_config(num_class=400)))
    path = saved(tmp_path / "ckpt.pth.tar", {"model": source.state_dict()})
    with caplog.at_level(logging.INFO, "video_analysis"):
        method = build_method(model_config(num_class=3, pretrained=path))
    assert method.classifier.weight.shape == (3, 64)
    assert 0 < method.classifier.weight.abs().max() < 0.01
    assert torch.count_nonzero(method.classifier.bias) == 0
    for key, value in method.backbone.state_dict().items():
        assert torch.equal(value, source.backbone.state_dict()[key]), key
    assert "number of classes" in caplog.text


def test_initialise_false_reads_no_file() -> None:
    method = build_method(model_config(pretrained="no/such/file.pth"), initialise=False)
    assert isinstance(method, TSN)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [({"kwargs": {"width": 16}}, r"  backbone\.conv1\.weight: got shape \(8, 3, 7, 7\), needs \(16, 3, 7, 7\)"),
     ({"backbone": "resnet34"}, r"  backbone\.layer1\.2\.conv1\.weight: missing"),
     ({"backbone": "mobilenetv2", "kwargs": {"width": 0.25}}, r"  backbone\.features\.\S+: missing"),
     ({"type": "slowfast"}, r"  backbone\.\S+: missing")],
)  # fmt: skip
def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, changes: dict, fault: str) -> None:
    path = saved(tmp_path / "ckpt.pth.tar", {"model": build_method(model_config()).state_dict()})
    with pytest.raises(UserError, match=fault) as caught:
        build_method(model_config(pretrained=path, **changes))
    assert str(path) in caught.value.lines[0]
    assert len(caught.value.lines) <= 10


@pytest.mark.parametrize("method_type", ["tsn", "tsm", "image"])
def test_a_file_of_torchvisions_starts_the_backbone_alone(tmp_path: Path, method_type: str) -> None:
    network = ResNet(depth=18, width=8)
    nn.init.constant_(network.bn1.running_mean, 5)
    path = saved(
        tmp_path / "own.pth", {**network.state_dict(), "fc.weight": torch.ones(9, 64), "fc.bias": torch.ones(9)}
    )
    method = build_method(model_config(type=method_type, pretrained=path))
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in method.backbone.state_dict().items())
    assert method.classifier.weight.shape == (3, 64)
    assert method.classifier.weight.abs().max() < 0.2


@pytest.mark.parametrize("contents", [{"a": 1}, {"model": 3}, {"model": {}}, {"model": [1]}, {}, {0: torch.ones(1)}])
@pytest.mark.parametrize("method_type", ["tsn", "slowfast"])
def test_a_file_of_something_else_is_the_users_mistake(tmp_path: Path, contents: dict, method_type: str) -> None:
    path = saved(tmp_path / "other.pth", contents)
    with pytest.raises(UserError, match=r"other\.pth: "):
        build_method(model_config(type=method_type, pretrained=path))


def test_weights_for_pictures_do_not_fit_slowfast(tmp_path: Path) -> None:
    path = saved(tmp_path / "resnet18.pth", ResNet(depth=18, width=8).state_dict())
    with pytest.raises(UserError, match=r"resnet18\.pth: "):
        build_method(model_config(type="slowfast", pretrained=path))
    with pytest.raises(UserError, match=r"common\.model\.pretrained: got True, but no ImageNet weights fit slowfast"):
        build_method(model_config(type="slowfast", pretrained=True))


def test_true_finds_the_backbones_file_by_its_published_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("methods.build.WEIGHTS_FOLDER", str(tmp_path))
    network = ResNet(depth=18, width=8)
    saved(tmp_path / "resnet18-5c106cde.pth", network.state_dict())
    saved(tmp_path / "resnet34-333f7ec4.pth", ResNet(depth=34, width=8).state_dict())
    method = build_method(model_config(pretrained=True))
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in method.backbone.state_dict().items())


@needs_shared
def test_published_weights_fit_the_published_expansion_alone() -> None:
    path = str(SHARED / "weights" / "mobilenet_v2_imagenet.pth")
    config = {"type": "tsm", "backbone": "mobilenetv2", "pretrained": path}
    flow = build_method(model_config(**config, kwargs={"t": 6}, modality="Flow"))
    first = read_state_dict(Path(path))["features.0.0.weight"].mean(dim=1)
    assert torch.equal(flow.backbone.first_conv.weight[:, 9], first)
    with pytest.raises(UserError, match="nothing was loaded") as caught:
        build_method(model_config(**config, kwargs={"t": 3}))
    wanted = "features.2.conv.0.0.weight: got shape (96, 16, 1, 1), needs (48, 16, 1, 1)"
    assert caught.value.lines[1].endswith(wanted)
