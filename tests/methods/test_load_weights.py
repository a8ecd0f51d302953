"""What of a checkpoint is loaded, what is set for it, and what is said: all of it or nothing."""

import logging
import pickle
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from methods import build_from, build_method
from methods.method import Method
from networks.checkpoint_formats import FORMATS
from networks.checkpoint_formats.caffe2_names import TABLE
from networks.convert_checkpoint import convert
from networks.imported import read_checkpoint
from tests.methods.small_models import model_config
from utils.errors import UserError


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "video_analysis")


def theirs(folder: Path, target: str, **changes: Any) -> tuple[Method, Path]:
    """A method of ours with random weights, and its weights in a file of another system."""
    model = model_config(**changes)
    method = build_method(model)
    for number, (key, value) in enumerate(method.state_dict().items()):
        if value.is_floating_point():
            drawn = 0.2 * torch.randn(value.shape, generator=torch.Generator().manual_seed(number))
            value.copy_(1 + drawn.abs() if key.endswith("running_var") else drawn)
    config = {"model": {"type": model.type, "kwargs": dict(model.kwargs)}}
    torch.save({"model": method.state_dict(), "config": config}, folder / "ours.pth")
    torch.save(convert(read_checkpoint(folder / "ours.pth"), FORMATS[target]), folder / f"{target}.pth")
    return method, folder / f"{target}.pth"


def refusal(model_changes: dict[str, Any], path: Path) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        build_method(model_config(pretrained=str(path), **model_changes))
    assert caught.value.lines[0].startswith(f"{path}: ")
    return caught.value.lines


def test_counts_are_said_with_the_format(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, path = theirs(tmp_path, "tsm", type="tsm", num_class=5)
    build_method(model_config(type="tsm", pretrained=str(path)))
    assert (
        "official TSM checkpoint, 120 tensors loaded, 2 (classifier.weight, classifier.bias) new, "
        "2 (new_fc.weight, new_fc.bias) left over" in caplog.text
    )
    assert "another number of classes: the classifier starts anew" in caplog.text


def test_the_whole_is_loaded_where_it_fits(tmp_path: Path) -> None:
    source, path = theirs(tmp_path, "mmaction2", type="tsm", backbone="resnet50")
    loaded = build_method(model_config(type="tsm", backbone="resnet50", pretrained=str(path))).state_dict()
    assert all(torch.equal(value, loaded[key]) for key, value in source.state_dict().items())


def test_mmaction2s_slowfast_sets_what_its_networks_do_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kwargs = {
        "width": 8,
        "lateral_norm": False,
        "fusion_kernel": 7,
        "alpha": 4,
        "slow_frames": "strided",
        "head_pool": 0,
    }
    source, path = theirs(tmp_path, "mmaction2", type="slowfast", kwargs=kwargs)
    method = build_method(model_config(type="slowfast", pretrained=str(path)))
    assert (method.alpha, method.slow_frames, method.backbone.head_pool) == (4, "strided", 0)
    assert method.mean == (0.485, 0.456, 0.406)
    assert "lateral_norm False" in caplog.text
    clip = torch.randn(1, 32, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(method.eval()(clip), source.eval()(clip))


def test_an_option_that_the_config_sets_stays_and_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, path = theirs(tmp_path, "mmaction2", type="slowfast")
    kwargs = {"width": 8, "slow_frames": "linspace"}
    method = build_method(model_config(type="slowfast", pretrained=str(path), kwargs=kwargs))
    assert method.slow_frames == "linspace"
    assert "model.kwargs.slow_frames: the config's 'linspace' is used; mmaction2.pth has 'strided'" in caplog.text


def test_a_tsm_in_a_tsn_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _, path = theirs(tmp_path, "tsm", type="tsm")
    build_method(model_config(type="tsn", pretrained=str(path)))
    assert "tsm.pth is of a tsm, the config's model is a tsn" in caplog.text


@pytest.mark.parametrize("modality", ["Flow", "RGBDiff"])
def test_colours_start_another_modality(tmp_path: Path, modality: str, caplog: pytest.LogCaptureFixture) -> None:
    source, path = theirs(tmp_path, "tsm")
    method = build_method(model_config(modality=modality, pretrained=str(path)))
    mean = source.backbone.conv1.weight.mean(dim=1)
    assert all(torch.equal(channel, mean) for channel in method.backbone.conv1.weight.unbind(dim=1))
    assert "first convolution adapted" in caplog.text


def test_a_deeper_network_lacks_tensors_and_the_closest_is_named(tmp_path: Path) -> None:
    _, path = theirs(tmp_path, "pyslowfast", type="slow", backbone="resnet50")
    first, *lines = refusal({"type": "slow", "backbone": "resnet101"}, path)
    assert "this PySlowFast checkpoint doesn't fit; nothing was loaded" in first
    assert lines[0].startswith("  backbone.stages.2.6.conv1.weight: missing, needs (32, 128, 3, 1, 1)")
    assert len(lines) == 9


def test_a_shallower_network_leaves_tensors_over_under_the_files_names(tmp_path: Path) -> None:
    _, path = theirs(tmp_path, "pyslowfast", type="slow", backbone="resnet101")
    lines = refusal({"type": "slow", "backbone": "resnet50"}, path)
    assert any("s4.pathway0_res6.branch2.a.weight (32, 128, 3, 1, 1): left over" in line for line in lines)


def test_a_renamed_tensor_is_missing_with_its_closest_match(tmp_path: Path) -> None:
    _, path = theirs(tmp_path, "tsm")
    state = torch.load(path, weights_only=True)["state_dict"]
    state["base_model.konv1.weight"] = state.pop("base_model.conv1.weight")
    torch.save({"state_dict": state}, path)
    lines = refusal({}, path)
    assert (
        lines[1]
        == "  backbone.conv1.weight: missing, needs (8, 3, 7, 7); the closest in the file is base_model.konv1.weight"
    )


def test_keys_of_no_format_are_shown(tmp_path: Path) -> None:
    torch.save(
        {"state_dict": {f"encoder.{number}.w": torch.ones(2, 3) for number in range(20)}}, tmp_path / "other.pth"
    )
    lines = refusal({}, tmp_path / "other.pth")
    assert "fits no known format" in lines[0]
    assert lines[1] == "  encoder.0.w (2, 3)"


def test_an_evaluation_needs_every_tensor(tmp_path: Path) -> None:
    _, path = theirs(tmp_path, "tsm", num_class=5)
    with pytest.raises(UserError, match=r"classifier\.weight: got shape \(5, 64\), needs \(3, 64\)"):
        build_from(model_config(), read_checkpoint(path), whole=True)


@pytest.mark.parametrize(
    "changes", [{"type": "slowfast", "backbone": "resnet50"}, {"type": "x3d", "backbone": "x3d_s", "kwargs": {}}]
)
def test_a_caffe2_file_is_imported(tmp_path: Path, changes: dict[str, Any]) -> None:
    source, path = theirs(tmp_path, "pyslowfast", **changes)
    state = torch.load(path, weights_only=True)["model_state"]
    usual = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    blobs = TABLE.to_theirs(usual)
    assert not blobs.unknown
    arrays = {key: value.numpy() for key, value in blobs.tensors.items()}
    arrays |= {"lr": arrays["pred_b"][:1], "conv1_w_momentum": arrays["pred_b"]}
    (tmp_path / "zoo.pkl").write_bytes(pickle.dumps({"blobs": arrays}, protocol=2))
    loaded = build_method(model_config(pretrained=str(tmp_path / "zoo.pkl"), **changes)).state_dict()
    for key, value in source.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(value, loaded[key]), key


@pytest.mark.slow
def test_slowfast_of_7_frames_or_101_layers_has_alpha_4(tmp_path: Path) -> None:
    for backbone, fusion_kernel, alpha in (("resnet50", 5, 8), ("resnet50", 7, 4), ("resnet101", 5, 4)):
        kwargs = {"width": 8, "fusion_kernel": fusion_kernel, "alpha": alpha}
        _, path = theirs(tmp_path, "pytorchvideo", type="slowfast", backbone=backbone, kwargs=kwargs)
        method = build_method(model_config(type="slowfast", backbone=backbone, pretrained=str(path)))
        assert (method.alpha, method.backbone.laterals[0].conv.stride[0]) == (alpha, alpha)


@pytest.mark.slow
def test_a_file_of_100_mb_is_imported_in_3_seconds(tmp_path: Path) -> None:
    changes = {"type": "tsm", "backbone": "resnet50", "num_class": 400, "kwargs": {}}
    _, path = theirs(tmp_path, "tsm", **changes)
    assert path.stat().st_size > 95e6
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        build_method(model_config(pretrained=str(path), **changes))
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 3
