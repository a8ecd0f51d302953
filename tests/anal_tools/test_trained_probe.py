"""The temporal probe on trained checkpoints tells TSM, which needs the order of frames, from TSN, which can't see it.

The clips of weizmann_direction are the same pixels forwards, backwards and mirrored; their class is where people move.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.experiments import environment
from tests.shared_material import REPOSITORY, SHARED, needs_shared

MATERIAL = SHARED / "data" / "weizmann_direction"
ORDERS = ("as they are", "shuffled", "reversed", "the middle one repeated")


def call(*words: str) -> str:
    """A command of the project, to its end; returns what it printed."""
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frames and lists: 120 clips for training, 60 of other persons for validation."""
    folder = tmp_path_factory.mktemp("direction")
    frames = str(folder / "frames")
    call("-m", "datasets.prepare.dump_frames", str(MATERIAL / "videos"), frames)
    sides = [word for side in ("train", "val") for word in (f"--{side}-list", str(MATERIAL / f"{side}.txt"))]
    options = ["--frames", frames, "--out", str(folder / "lists"), "--labels", str(MATERIAL / "classInd.txt"), *sides]
    call("-m", "datasets.prepare.build_lists", "folder", *options)
    return folder


def write_config(folder: Path, method: str) -> Path:
    """The experiment's config, made smaller: 4 segments at 96 pixels, 60 iterations of 8 clips with AdamW."""
    text = (REPOSITORY / "exps" / "weizmann_direction" / f"{method}_mobilenetv2" / "config.yaml").read_text("utf-8")
    common = yaml.safe_load(text)["common"]
    for name in ("optimizer", "parameter_policy", "lr_scheduler"):
        common.pop(name, None)
    common["model"] |= {"num_segments": 4, "pretrained": str(SHARED / "weights" / "mobilenet_v2_imagenet.pth")}
    common["augmentation"] |= {"input_size": 96, "test_resize": 96}
    schedule = {"type": "COSINE", "base_lr": 0.0003, "warmup_steps": 6, "warmup_lr": 0.001, "max_iter": 60}
    common |= {"optimizer": "ADAMW", "lr_scheduler": schedule, "clip_gradient": 5.0, "batch_size": 8, "workers": 0}
    common |= {"val_freq": 60, "val_protocol": "center"}
    for side in ("train", "val"):
        common |= {f"{side}_root": str(folder / "frames"), f"{side}_source": str(folder / "lists" / f"{side}.txt")}
    path = folder / method / "config.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"common": common}), encoding="utf-8")
    return path


def probe(folder: Path, method: str) -> tuple[list[float], list[float], str]:
    """Top-1 and the share of changed predictions in each order, in percent, and the verdict."""
    config = write_config(folder, method)
    call("main.py", "--config", str(config))
    printed = call(
        *("anal_tools/temporal_probe.py", "--config", str(config)),
        *("--load-path", str(config.parent / "ckpt.pth.tar")),
    )
    rows = [re.search(rf"{order} +([\d.]+) +[\d.]+ +[-+][\d.]+ +([\d.]+)", printed) for order in ORDERS]
    return [float(row[1]) for row in rows], [float(row[2]) for row in rows], printed.splitlines()[-1]


@needs_shared
@pytest.mark.slow
@pytest.mark.timeout(1200)  # two minutes on a machine without other work
def test_the_probe_tells_tsn_from_tsm(folder: Path) -> None:
    top1, changed, verdict = probe(folder, "tsm")
    assert top1[0] >= 90
    assert top1[2] <= 10  # backwards is the other class
    assert "it uses time: reversed, it loses" in verdict
    top1, changed, verdict = probe(folder, "tsn")
    assert 30 <= top1[0] <= 70  # chance is 50
    assert changed[:3] == [0, 0, 0]
    assert "it does not use the order of frames: no prediction changes" in verdict
