"""What a save costs training, written in the background and not; and what a start costs until its first step.

    python -m benchmarks.checkpointing [--pairs 9] [--starts 3] [--json]

Saves: a ResNet-50 with its momenta (100 MB and 100 MB), trained by the engine's own step on small frames. Each round
times as many steps without a save, with one in the background and with one that is waited for; lost is the difference,
held is how long `save` itself keeps the training thread. Medians over the rounds.
Starts: seconds from `exec` of main.py to the log line of the first step, in a fresh folder and gone on from that run's
checkpoint, a tiny TSN. The last line of --json is all of it.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.made_frames import write_frames
from datasets.loaders import Batch
from engine.checkpoint_writer import CheckpointWriter
from engine.distributed import World
from engine.run import Run, build_run
from engine.saving import finish_saves, save
from engine.train_step import train_step
from engine.weights import build_placed
from utils.config_file import config_as_dict, load_config, repository_path

SIZE, BATCH, STEPS = 64, 2, 4
ALONE = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
WAYS = {"none": None, "background": True, "waited for": False}


def write_config(folder: Path, backbone: str, **changes: Any) -> Path:
    """An experiment on the made frames in `folder`."""
    common = {
        "model": {"type": "tsn", "backbone": backbone, "num_class": 10, "num_segments": 1, "pretrained": False},
        "augmentation": {"input_size": SIZE, "test_resize": SIZE},
        "workers": 0,
        "batch_size": BATCH,
        "lr_scheduler": {"base_lr": 1e-6, "max_iter": 1_000_000},
        "val_freq": 1_000_000,
        "print_freq": 1,
        **{f"{split}_root": str(folder / "frames") for split in ("train", "val")},
        **{f"{split}_source": str(folder / "list.txt") for split in ("train", "val")},
        **changes,
    }
    path = folder / backbone / "config.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump({"common": common}), encoding="utf-8")
    return path


def made_batch() -> Batch:
    """Noise of the right shape."""
    frames = torch.randint(256, (BATCH, 1, SIZE, SIZE, 3), dtype=torch.uint8)
    numbers = torch.arange(BATCH)
    return Batch(frames=frames, label=numbers, video_index=numbers, position=numbers, broken=[])


def seconds_of_steps(run: Run, batch: Batch, writer: CheckpointWriter | None) -> tuple[float, float]:
    """(seconds of STEPS steps, of them in `save`); with a writer the first step is followed by a save."""
    started = time.perf_counter()
    held = 0.0
    for step in range(STEPS):
        train_step(run, [batch])
        if step == 0 and writer is not None:
            before = time.perf_counter()
            save(run, writer, best=False)
            held = time.perf_counter() - before
    return time.perf_counter() - started, held


def measure_saves(folder: Path, pairs: int) -> dict[str, float]:
    """Milliseconds lost and held per save, by way; `step` is a step without any."""
    config = load_config(write_config(folder, "resnet50"), [])
    found: dict[str, list[float]] = {}
    runs = {
        name: config.model_copy(update={"save_in_background": way}) for name, way in WAYS.items() if way is not None
    }
    run = build_run(config, build_placed(config, ALONE, initialise=True), ALONE)
    batch = made_batch()
    extra = {"config": config_as_dict(config)}
    writers = {
        name: CheckpointWriter(folder / "resnet50", extra=extra, keep=2, background=each.save_in_background)
        for name, each in runs.items()
    }
    for number in range(pairs + 1):
        seconds = {}
        for name in WAYS:
            run.config = runs.get(name, config)
            seconds[name], held = seconds_of_steps(run, batch, writers.get(name))
            if name in writers:
                finish_saves(run, writers[name])
                found.setdefault(f"held, {name}", []).append(1000 * held)
                found.setdefault(f"lost, {name}", []).append(1000 * (seconds[name] - seconds["none"]))
        found.setdefault("step", []).append(1000 * seconds["none"] / STEPS)
        if number == 0:
            found.clear()  # memory is touched for the first time
    return {name: statistics.median(values) for name, values in found.items()}


def seconds_to_first_step(config: Path) -> float:
    """From `exec` to the first line "iter"; the run is then asked to stop, and saves."""
    command = [sys.executable, str(repository_path("main.py")), "--config", str(config)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    assert process.stdout, "a pipe was asked for"
    next(line for line in process.stdout if " iter " in line)
    seconds = time.perf_counter() - started
    process.send_signal(signal.SIGTERM)
    process.communicate()
    return seconds


def measure_starts(folder: Path, starts: int) -> dict[str, float]:
    """Median seconds to the first step, fresh and resumed, in turns."""
    found: dict[str, list[float]] = {"fresh": [], "resumed": []}
    config = write_config(folder, "resnet18")
    for _ in range(starts):
        for path in config.parent.glob("ckpt*"):
            path.unlink()
        found["fresh"].append(seconds_to_first_step(config))
        found["resumed"].append(seconds_to_first_step(config))
    return {name: statistics.median(values) for name, values in found.items()}


def main() -> None:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkpointing", description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=9, help="rounds of saves (9)")
    parser.add_argument("--starts", type=int, default=3, help="starts of each kind (3)")
    parser.add_argument("--json", action="store_true", help="all of it as a line of JSON at the end")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_frames(folder, videos=8, frames=4)
        saves = measure_saves(folder, arguments.pairs)
        for what, milliseconds in saves.items():
            print(f"{what:18} {milliseconds:7.0f} ms")
        starts = measure_starts(folder, arguments.starts)
    for what, seconds in starts.items():
        print(f"{what:18} {seconds:7.1f} s to the first step")
    if arguments.json:
        print(json.dumps({**{name: round(value, 1) for name, value in {**saves, **starts}.items()}}))


if __name__ == "__main__":
    main()
