"""The real commands: train a small experiment, score its list into a file, analyse the file."""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from anal_tools.get_reference_results import main
from anal_tools.results_file import Results, load_results
from engine.metrics import top_k_accuracy
from tests.experiments import environment, run, write_experiment
from tests.shared_material import REPOSITORY
from utils.errors import UserError


def tool(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / "anal_tools" / name), *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=240, check=False)


def score(config: Path, out: Path, *arguments: str) -> Results:
    checkpoint = config.parent / "ckpt_best.pth.tar"
    done = tool(
        "get_reference_results.py",
        *("--config", str(config), "--load-path", str(checkpoint), "--out", str(out), *arguments),
    )
    assert done.returncode == 0, done.stderr
    return load_results(out)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained experiment of 10 videos, its classes named."""
    folder = tmp_path_factory.mktemp("experiment")
    path = write_experiment(folder, videos=10, lr_scheduler={"max_iter": 1}, val_freq=1)
    (folder / "classInd.txt").write_text("1 run\n2 walk fast\n3 jump\n", encoding="utf-8")
    done = run(path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def scored(config: Path) -> Results:
    return score(config, config.parent / "results" / "center.npz")


def test_a_score_file_says_what_was_scored(config: Path, scored: Results) -> None:
    assert scored.scores.shape == (10, 3)
    assert scored.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert scored.paths.tolist() == [f"clip {number}" for number in range(10)]  # in the list's order
    assert scored.num_frames.tolist() == [9] * 10
    assert scored.class_names.tolist() == ["run", "walk fast", "jump"]
    assert (scored.protocol, scored.average) == ("center", "logits")
    assert scored.root == str(config.parent.parent / "frames")
    assert yaml.safe_load(scored.config)["common"]["model"]["kwargs"] == {"width": 8}
    assert set(json.loads(scored.versions)) == {"torch", "torchvision", "numpy", "simplejpeg", "av"}


def test_a_score_file_names_its_checkpoint_and_list_by_checksum(config: Path, scored: Results) -> None:
    checkpoint, videos = config.parent / "ckpt_best.pth.tar", config.parent.parent / "list.txt"
    assert scored.checkpoint_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert scored.list_sha256 == hashlib.sha256(videos.read_bytes()).hexdigest()


def test_scores_are_logits_with_the_accuracy_that_training_logged(config: Path, scored: Results) -> None:
    logged = re.findall(r"\[center\] top-1 ([\d.]+) .*\(10 videos counted", (config.parent / "log.txt").read_text())
    assert f"{100 * top_k_accuracy(scored.scores, scored.labels, 1):.2f}" == logged[0]
    assert not np.allclose(scored.scores.sum(axis=1), 1)
    assert scored.probabilities().sum(axis=1) == pytest.approx([1] * 10)


def test_a_score_file_becomes_a_report(config: Path, scored: Results, tmp_path: Path) -> None:
    done = tool("analyze.py", str(config.parent / "results" / "center.npz"), "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    wrong = int((scored.scores.argmax(axis=1) != scored.labels).sum())
    page = (tmp_path / "errors.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == page.count("<article") == wrong > 0
    assert f"top-1: {100 - 10 * wrong:.2f} %" in done.stdout


@pytest.mark.slow
def test_a_protocol_and_another_list_may_be_asked_for(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("clip 7 9 1\nclip 2 9 2\n", encoding="utf-8")
    dense = score(config, tmp_path / "dense.npz", "--protocol", "dense", "--set", f"common.val_source={other}")
    assert dense.protocol == "tsm-dense-10x3"
    assert dense.paths.tolist() == ["clip 7", "clip 2"]
    assert dense.labels.tolist() == [1, 2]


@pytest.mark.slow
def test_a_missing_checkpoint_is_a_line_and_status_2(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npz"
    done = tool(
        "get_reference_results.py", "--config", str(config), "--load-path", str(tmp_path / "no.pth"), "--out", str(out)
    )
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "no.pth" in errors[0]
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_several_protocols_views_and_features_in_one_pass(config: Path, scored: Results, tmp_path: Path) -> None:
    checkpoint = str(config.parent / "ckpt_best.pth.tar")
    options = ["--protocol", "center,dense", "--per-view", "--features", "--out", str(tmp_path / "x.npz")]
    assert main(["--config", str(config), "--load-path", checkpoint, *options]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.center.npz", "x.tsm-dense-10x3.npz"]
    center, dense = (load_results(tmp_path / f"x.{name}.npz") for name in ("center", "tsm-dense-10x3"))
    assert np.array_equal(center.scores, scored.scores)
    assert (center.views.shape, dense.views.shape) == ((10, 1, 3), (10, 30, 3))
    assert dense.features.shape == (10, 64)  # resnet18 of width 8
    np.testing.assert_allclose(dense.views.mean(axis=1), dense.scores, atol=1e-5)
    assert scored.views is None


def test_mistakes_of_the_command_line_are_told_before_anything_is_read(config: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"results\.txt: can't be a score file"):
        main(["--config", "no.yaml", "--load-path", "no.pth", "--out", str(tmp_path / "results.txt")])
    with pytest.raises(UserError, match=r"got 'tsm-dense-10x1', needs .* Did you mean 'tsm-dense-10x3'"):
        main(
            [
                *("--config", str(config), "--load-path", "no.pth", "--out", str(tmp_path / "results.npz")),
                *("--protocol", "tsm-dense-10x1"),
            ]
        )
