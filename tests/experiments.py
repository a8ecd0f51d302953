"""A small experiment on disk, for tests that run the real command."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml

from tests.frame_folders import make_frame_folders
from tests.shared_material import REPOSITORY

CLASSES = 3


def write_experiment(folder: Path, *, videos: int = 12, frames: int = 9, **changes: Any) -> Path:
    """A TSM of width 8 on `videos` videos of `frames` frames of 40x36; returns the config's path.

    `changes` replace keys below `common:`; a dictionary is merged into its section.
    """
    root = folder / "frames"
    if not root.exists():
        names = [f"clip {number}" for number in range(videos)]
        make_frame_folders(root, names, frames=frames, size=(36, 40))
        lines = [f"{name} {frames} {number % CLASSES}\n" for number, name in enumerate(names)]
        (folder / "list.txt").write_text("".join(lines), encoding="utf-8")
    common: dict[str, Any] = {
        "model": {
            "type": "tsm",
            "backbone": "resnet18",
            "num_segments": 3,
            "num_class": CLASSES,
            "dropout": 0.5,
            "pretrained": False,
            "kwargs": {"width": 8},
        },
        "augmentation": {"input_size": 32, "test_resize": 36, "colorjitter": [0.2, 0.2, 0.2, 0.1], "mix_up": 0.2},
        "workers": 0,
        "batch_size": 4,
        "lr_scheduler": {"type": "COSINE", "base_lr": 0.01, "max_iter": 6},
        "val_freq": 3,
        "print_freq": 2,
        "train_root": str(root),
        "train_source": str(folder / "list.txt"),
        "val_root": str(root),
        "val_source": str(folder / "list.txt"),
    }
    for key, value in changes.items():
        common[key] = {**common.get(key, {}), **value} if isinstance(value, dict) else value
    experiment = folder / "experiment"
    experiment.mkdir(exist_ok=True)
    path = experiment / "config.yaml"
    path.write_text(yaml.safe_dump({"common": common}, sort_keys=False), encoding="utf-8")
    return path


def spoil(folder: Path, *videos: int) -> None:
    """Make the frames of videos of the experiment in `folder` unreadable; list line n + 1 names video n."""
    for number in videos:
        for frame in (folder / "frames" / f"clip {number}").iterdir():
            frame.write_bytes(b"no jpeg")


def environment() -> dict[str, str]:
    """One thread per process, and no rank or cluster of an outer run."""
    outer = ("SLURM_", "RANK", "WORLD_SIZE", "LOCAL_", "MASTER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(outer)}
    return {**kept, "OMP_NUM_THREADS": "1"}


def command(config: Path, *arguments: str, ranks: int = 1) -> list[str]:
    """main.py on `config`, by plain python or by torchrun."""
    start = [sys.executable]
    if ranks > 1:
        start += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    return [*start, str(REPOSITORY / "main.py"), "--config", str(config), *arguments]


def run(config: Path, *arguments: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    """Run it to its end, output captured."""
    return subprocess.run(
        command(config, *arguments, ranks=ranks),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def checkpoint(config: Path, name: str = "ckpt.pth.tar") -> dict[str, Any]:
    """The experiment's checkpoint."""
    return torch.load(config.parent / name, map_location="cpu", weights_only=True)


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two nested values differ, tensors bit for bit."""
    if isinstance(one, torch.Tensor):
        same = isinstance(other, torch.Tensor) and one.shape == other.shape and torch.equal(one, other)
        return [] if same else [path]
    if isinstance(one, dict):
        if not isinstance(other, dict) or one.keys() != other.keys():
            return [f"{path}: other keys"]
        return [line for key in one for line in differences(one[key], other[key], f"{path}.{key}")]
    return [] if one == other else [f"{path}: {one!r} and {other!r}"]
