"""Activation maps: of the frame and the half of it that decides; animated; linked from the report."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anal_tools.activation_maps import activation_maps
from anal_tools.analyze import main as analyse
from anal_tools.get_reference_results import main as score
from anal_tools.gradcam import main, overlay, side_by_side
from anal_tools.predict import Predictor, load_predictor
from anal_tools.results_file import load_results
from engine.view_scoring import ViewScorer
from methods.clip_method import ClipMethod
from methods.slowfast import SlowFast
from networks.resnet3d import ResNet3d
from networks.slowfast_resnet import SlowFastResNet
from networks.torchvision_video import TorchvisionVideo
from networks.x3d import X3DNetwork
from tests.experiments import run, write_experiment
from utils.errors import UserError


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    path = write_experiment(folder, videos=6, lr_scheduler={"max_iter": 1}, val_freq=1)
    assert run(path).returncode == 0
    return path


def test_maps_are_of_the_channels_that_raise_the_class(config: Path) -> None:
    """By hand: the last block's activations, weighed by the gradient of a linear classifier after a mean."""
    predictor = load_predictor(config.parent / "ckpt.pth.tar")
    method, view = predictor.scorer.method, torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    seen = []
    method.backbone.residual_blocks()[-1][-1].register_forward_hook(lambda *parts: seen.append(parts[2].detach()))
    ((name, frames, maps),), label = activation_maps(predictor, view, 1)
    assert (name, frames.tolist()) == ("", [0, 1, 2])
    assert (maps.shape, label, maps.max()) == ((3, 32, 32), 1, 1.0)
    coarse = torch.einsum("tchw,c->thw", seen[0], method.classifier.weight[1].detach()).relu()
    assert coarse.shape == (3, 1, 1)
    np.testing.assert_allclose(maps[:, 0, 0], (coarse / coarse.max()).flatten().numpy(), rtol=1e-4)


def test_an_overlay_leaves_the_frame_where_the_map_is_nothing() -> None:
    frames = np.full((2, 4, 4, 3), 100, dtype=np.uint8)
    maps = np.zeros((2, 4, 4), dtype=np.float32)
    maps[1, 0, 0] = 1
    first, second = (np.asarray(each) for each in overlay(frames, maps))
    assert np.array_equal(first, frames[0])
    halves = [(100 + end) / 2 for end in (252, 255, 164)]  # of the frame, and of inferno's end
    np.testing.assert_allclose(second[0, 0], halves, atol=0.6)
    assert np.array_equal(second[1:], frames[1][1:])


def test_errors_are_animated_and_linked_from_the_report(config: Path, tmp_path: Path) -> None:
    checkpoint, results = str(config.parent / "ckpt.pth.tar"), str(tmp_path / "r.npz")
    assert score(["--config", str(config), "--load-path", checkpoint, "--out", results]) == 0
    found = load_results(Path(results))
    wrong = np.flatnonzero(found.scores.argmax(axis=1) != found.labels)
    assert main(["--load-path", checkpoint, "--results", results, "--count", "2", "--out", str(tmp_path)]) == 0
    drawn = sorted((tmp_path / "cams").iterdir())
    assert len(drawn) == 2
    assert {int(path.stem) for path in drawn} <= set(wrong.tolist())
    with Image.open(drawn[0]) as picture:
        assert (picture.format, picture.n_frames, picture.size) == ("WEBP", 3, (32, 32))
    assert analyse([results, "--out", str(tmp_path), "--html"]) == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count('"cam":true') == 2
    with pytest.raises(UserError, match=r"gone: .*gone"):
        main(["--load-path", checkpoint, str(tmp_path / "gone"), "--out", str(tmp_path)])


def of_clips(backbone: torch.nn.Module, method: type[ClipMethod], **options: Any) -> Predictor:
    """A predictor of a method with random weights that all matter."""
    torch.manual_seed(0)
    built = method(backbone, num_class=3, **options).eval()
    torch.nn.init.normal_(built.classifier.weight)
    for module in built.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.ones_(module.weight)  # of the last norm of a block too, which starts at 0
    scorer = ViewScorer(method=built, mean=built.mean, std=built.std, device=torch.device("cpu"), precision="fp32")
    protocol = SimpleNamespace(frames_per_segment=1)
    return Predictor(scorer, protocol, 1, ["a", "b", "c"], "")  # type: ignore[arg-type]


def test_slowfast_has_maps_of_both_pathways_by_hand() -> None:
    """Features are means of both pathways' maps, the slow one's first: a map is them weighed by the classifier."""
    predictor = of_clips(SlowFastResNet(depth=18, width=8, alpha=4), SlowFast, num_frames=8, alpha=4)
    method, view = predictor.scorer.method, torch.randint(0, 256, (8, 64, 64, 3), dtype=torch.uint8)
    seen = []
    for module in method.backbone.last_maps():
        module.register_forward_hook(lambda *parts: seen.append(parts[2].detach()[0]))
    (slow, fast), label = activation_maps(predictor, view, 2)
    assert (slow.name, slow.frames.tolist(), slow.maps.shape) == ("slow", [0, 7], (2, 64, 64))
    assert (fast.name, fast.frames.tolist(), fast.maps.shape) == ("fast", list(range(8)), (8, 64, 64))
    weights = method.classifier.weight[label].detach()
    for maps, found, part in zip(seen, (slow, fast), weights.split([len(seen[0]), len(seen[1])])):
        coarse = torch.einsum("cthw,c->thw", maps, part).relu()
        assert coarse.shape == (len(found.frames), 2, 2)
        corner = found.maps[:, 0, 0]  # a corner of the stretched map is the coarse one's
        np.testing.assert_allclose(corner, (coarse / coarse.max())[:, 0, 0].numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["x3d", "i3d", "c2d"])
def test_networks_of_one_pathway_have_a_map_per_frame(kind: str) -> None:
    backbone = X3DNetwork() if kind == "x3d" else ResNet3d(depth=18, architecture=kind, width=8, pool2_stride=2)
    predictor = of_clips(backbone, ClipMethod, num_frames=4)
    view = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    ((name, frames, maps),), label = activation_maps(predictor, view)
    assert (name, frames.tolist(), maps.shape) == ("", [0, 1, 2, 3], (4, 64, 64))
    logits = predictor.scorer(view[None])
    assert label == int(logits.argmax())
    assert (maps.min() >= 0, maps.max()) == (True, 1.0)


def test_a_transformer_has_no_maps() -> None:
    with torch.device("meta"):
        backbone = TorchvisionVideo(name="swin3d_t")
    assert TorchvisionVideo(name="r3d_18").last_maps()[0].training
    assert backbone.last_maps() == []
    predictor = of_clips(SlowFastResNet(depth=18, width=8, alpha=4), SlowFast, num_frames=8, alpha=4)
    predictor.scorer.method.backbone = backbone
    with pytest.raises(UserError, match="this network has tokens, no feature maps"):
        activation_maps(predictor, torch.zeros(8, 64, 64, 3, dtype=torch.uint8))


def test_a_slow_frame_stands_until_the_next_beside_the_fast_ones() -> None:
    slow = [Image.new("RGB", (20, 10), (100 * place, 0, 0)) for place in range(2)]
    fast = [Image.new("RGB", (20, 10), (0, 30 * place, 0)) for place in range(8)]
    pictures = [np.asarray(each) for each in side_by_side([slow, fast], ["", ""])]
    assert [each.shape for each in pictures] == [(10, 44, 3)] * 8
    assert [int(each[9, 5, 0]) for each in pictures] == [0, 0, 0, 0, 100, 100, 100, 100]
    assert [int(each[9, 30, 1]) for each in pictures] == [30 * place for place in range(8)]
    assert pictures[0][9, 21].tolist() == [255, 255, 255]
