"""Activation maps: of the frame and the half of it that decides; animated; linked from the report."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anal_tools.analyze import main as analyse
from anal_tools.get_reference_results import main as score
from anal_tools.gradcam import activation_maps, main, overlay
from anal_tools.predict import load_predictor
from anal_tools.results_file import load_results
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
    maps, label = activation_maps(predictor, view, 1)
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
