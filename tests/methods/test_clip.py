import logging
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model

from methods import build_method, build_published, kwargs_mistakes
from methods.clip import Clip
from networks.pretrained import find_weights
from networks.torchvision_video import MODELS, TorchvisionVideo, load_video_weights
from tests.shared_material import REPOSITORY
from utils.config_file import load_config
from utils.errors import UserError

META = torch.device("meta")
PARAMETERS = {  # as torchvision states them
    "r3d_18": 33_371_472,
    "mc3_18": 11_695_440,
    "r2plus1d_18": 31_505_325,
    "s3d": 8_320_048,
    "mvit_v1_b": 36_610_672,
    "mvit_v2_s": 34_537_744,
    "swin3d_t": 28_158_070,
}
FILES = {
    "r3d_18": "r3d_18-b3b3357e.pth",
    "mc3_18": "mc3_18-a90a0ba3.pth",
    "r2plus1d_18": "r2plus1d_18-91a641e6.pth",
    "s3d": "s3d-d76dad2f.pth",
    "mvit_v1_b": "mvit_v1_b-dbeb1030.pth",
    "mvit_v2_s": "mvit_v2_s-ae3be167.pth",
    "swin3d_t": "swin3d_t-7615ae03.pth",
}
# Frames and side of a clip that is quick to compute; MViT and S3D take no smaller one.
CLIPS = {"r3d_18": (4, 32), "mc3_18": (4, 32), "r2plus1d_18": (4, 32), "swin3d_t": (4, 64)}
LARGE = {"s3d": (16, 224), "mvit_v1_b": (16, 224), "mvit_v2_s": (16, 224)}


def clip(name: str, *, num_class: int = 400) -> Clip:
    return Clip(TorchvisionVideo(name=name), num_class=num_class, num_frames=MODELS[name].num_frames).eval()


def recipe(name: str) -> Path:
    return REPOSITORY / f"exps/kinetics400/clip_{name}/config.yaml"


def assert_same_logits(name: str, frames: int, side: int) -> None:
    torch.manual_seed(0)
    theirs, ours = get_model(name, weights=None).eval(), clip(name)
    assert load_video_weights(ours.backbone, ours.classifier, theirs.state_dict(), origin="file")
    frames_in = torch.randn(1, 3, frames, side, side)
    with torch.inference_mode():
        expected = theirs(frames_in)
        assert torch.allclose(ours(frames_in.transpose(1, 2)), expected, atol=1e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("name", CLIPS)
def test_logits_are_those_of_torchvision(name: str) -> None:
    assert_same_logits(name, *CLIPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_logits_of_large_clips_are_those_of_torchvision(name: str) -> None:
    assert_same_logits(name, *LARGE[name])


@pytest.mark.parametrize("name", MODELS)
def test_the_recipe_builds_the_published_network(name: str) -> None:
    config = load_config(recipe(name))
    assert kwargs_mistakes(config) == []
    with META:
        method = build_method(config.model, initialise=False)
    assert sum(parameter.numel() for parameter in method.parameters()) == PARAMETERS[name]
    assert (method.frames_per_view, config.augmentation.input_size) == (MODELS[name].num_frames, MODELS[name].size)


@pytest.mark.parametrize(("name", "mean"), [("r3d_18", 0.43216), ("mvit_v2_s", 0.45), ("swin3d_t", 0.485)])
def test_frames_are_normalised_as_the_weights_were_trained(name: str, mean: float) -> None:
    with META:
        assert clip(name).mean[0] == mean


def test_another_number_of_classes_starts_a_new_classifier(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    theirs = get_model("r3d_18", weights=None)
    torch.save(theirs.state_dict(), tmp_path / "r3d_18-b3b3357e.pth")
    overrides = [f"common.model.pretrained={tmp_path / 'r3d_18-b3b3357e.pth'}", "common.model.num_class=7"]
    with caplog.at_level(logging.INFO, logger="video_analysis"):
        method = build_method(load_config(recipe("r3d_18"), overrides).model)
    assert method.classifier.weight.shape == (7, 512)
    assert torch.equal(method.backbone.model.stem[0].weight, theirs.stem[0].weight)
    assert "another number of classes" in caplog.text


def test_the_published_file_is_evaluated_as_it_is(tmp_path: Path) -> None:
    theirs, path = get_model("mc3_18", weights=None), tmp_path / "mc3_18-a90a0ba3.pth"
    torch.save(theirs.state_dict(), path)
    method = build_published(load_config(recipe("mc3_18")).model, path)
    assert torch.equal(method.classifier.weight, theirs.fc.weight)
    with pytest.raises(UserError, match="its classifier does not fit num_class 7; set it to the file's"):
        build_published(load_config(recipe("mc3_18"), ["common.model.num_class=7"]).model, path)
    torch.save({"model": method.state_dict()}, path)
    assert build_published(load_config(recipe("mc3_18")).model, path) is None


def test_a_file_of_another_model_loads_nothing() -> None:
    ours = clip("mc3_18")
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(UserError, match="file: does not fit mc3_18; nothing was loaded"):
        load_video_weights(ours.backbone, ours.classifier, get_model("r3d_18").state_dict(), origin="file")
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())


@pytest.mark.parametrize(("name", "file_name"), FILES.items())
def test_weights_are_found_under_the_name_of_torchvision(name: str, file_name: str, tmp_path: Path) -> None:
    (tmp_path / file_name).touch()
    assert find_weights(name, tmp_path) == tmp_path / file_name


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("mvit_v2_s", (1, 16, 3, 256, 256), "mvit_v2_s: got 16 frames of 256x256, needs 16 of 224x224: set num_frames"),
        ("s3d", (1, 8, 3, 224, 224), "s3d: got 8 frames of 224x224, needs at least 14 of 224x224: raise num_frames"),
    ],
)
def test_a_clip_that_the_model_can_not_take_is_named(name: str, shape: tuple[int, ...], message: str) -> None:
    with META:
        method: nn.Module = clip(name)
        with pytest.raises(UserError, match=message):
            method(torch.empty(shape))


def test_frames_that_mvit_can_not_take_are_found_in_the_config() -> None:
    (mistake,) = kwargs_mistakes(load_config(recipe("mvit_v1_b"), ["common.model.num_frames=32"]))
    assert (mistake.path, mistake.message) == ("model.num_frames", "got 32, mvit_v1_b needs 16")
