"""Scores of two checkpoints as one, worked out by hand; weights searched only when asked; other lists refused."""

from pathlib import Path

import numpy as np
import pytest

from anal_tools.fusion import fuse, search_weights
from anal_tools.get_reference_results import main
from anal_tools.results_file import load_results
from tests.anal_tools.score_files import results
from utils.errors import UserError

RGB = np.array([[0.6, 0.4], [0.6, 0.4], [0.2, 0.8]])
FLOW = np.array([[0.7, 0.3], [0.1, 0.9], [0.7, 0.3]])


def part(probabilities: np.ndarray, **changes):
    values = {"labels": np.array([0, 1, 1]), "paths": np.array(["a", "b", "c"]), "num_frames": np.full(3, 9)}
    names = np.array(["run", "walk"])
    scores = probabilities.astype(np.float32)
    return results(**{**values, "scores": scores, "class_names": names, "average": "probabilities", **changes})


def test_probabilities_are_averaged_by_weight() -> None:
    fused = fuse([part(RGB), part(FLOW, checkpoint="flow.pth", protocol="tsn-25x10")], [1, 1.5])
    np.testing.assert_allclose(fused.scores[0], [(0.6 + 1.5 * 0.7) / 2.5, (0.4 + 1.5 * 0.3) / 2.5], rtol=1e-6)
    assert fused.protocol == "fusion of center + tsn-25x10"
    assert fused.checkpoint == "0.4 x exps/x/ckpt_best.pth.tar [center] + 0.6 x flow.pth [tsn-25x10]"
    logits = fuse([part(np.log(RGB), average="logits"), part(FLOW)], [1, 1])
    np.testing.assert_allclose(logits.scores, (RGB + FLOW) / 2, rtol=1e-6)


def test_searched_weights_are_the_best_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alone each is wrong about one video. Flow's share w needs 0.6 - 0.5 w < 0.5 and 0.2 + 0.5 w < 0.5."""
    weights = search_weights([part(RGB), part(FLOW)])
    assert 0.2 < weights[1] < 0.6
    part(RGB).save(tmp_path / "rgb.npz")
    part(FLOW).save(tmp_path / "flow.npz")
    files = [str(tmp_path / name) for name in ("rgb.npz", "flow.npz")]
    assert main(["--fuse", *files, "--search-weights", "--out", str(tmp_path / "both.npz")]) == 0
    out = capsys.readouterr().out
    assert "top-1 66.67 of 3 videos" in out
    assert "top-1 100.00 of 3 videos" in out
    assert load_results(tmp_path / "both.npz").protocol == "fusion of center (weights searched on these videos)"
    assert main(["--fuse", *files, "--out", str(tmp_path / "plain.npz")]) == 0
    assert load_results(tmp_path / "plain.npz").protocol == "fusion of center"


def test_other_videos_or_classes_are_refused(tmp_path: Path) -> None:
    part(RGB).save(tmp_path / "rgb.npz")
    part(FLOW, paths=np.array(["a", "b", "d"])).save(tmp_path / "list.npz")
    part(FLOW, class_names=np.array(["run", "sit"])).save(tmp_path / "classes.npz")
    for name, reason in (("list.npz", "scores of another list"), ("classes.npz", "scores of other classes")):
        with pytest.raises(UserError, match=f"{name}: {reason}"):
            main(["--fuse", str(tmp_path / "rgb.npz"), str(tmp_path / name), "--out", str(tmp_path / "x.npz")])
    with pytest.raises(UserError, match=r"--weights: got \[1.0\], needs 2 numbers"):
        main(["--fuse", *[str(tmp_path / "rgb.npz")] * 2, "--weights", "1", "--out", str(tmp_path / "x.npz")])
