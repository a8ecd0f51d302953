"""CPU time of the training loader per clip, beside plain Pillow and OpenCV pipelines and bare decoding.

    python -m benchmarks.loader [--clips 800] [--rounds 5] [--json]

A clip: 8 frames of 340x256, JPEG of quality 95 -> TSN's multi-scale crop -> 224x224 -> flip -> uint8. Each pipeline
runs in a DataLoader worker of its own; its CPU time and that of the hand-over in the main process count, wall time does
not. Rounds take turns, medians are printed; `pil_float` goes on to normalised floats, as official TSN and TSM do.
On a machine with a GPU, `device` is our loader with `source.decode: device`: the CPU time that is left then.
`--json` prints {"pil": ms, "opencv": ms, "ours": ms, "bare": ms} as its last line.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader

from benchmarks.cpu_time import cpu_of_loader
from benchmarks.made_frames import mean_size, write_frames
from benchmarks.yardsticks import (
    SCALES,
    SEED,
    SEGMENTS,
    SIZE,
    OpenCvClips,
    PilClips,
    PilFloatClips,
    WholeFrames,
    Yardstick,
)
from datasets.loaders import ClipFormat, build_train_loader
from datasets.samplers import TrainSampler
from datasets.videos import Videos, read_videos
from utils.config_schema import Config

VIDEOS, FRAMES, BATCH = 24, 16, 8
TSN = ClipFormat("segments", 1, "multi_scale")
YARDSTICKS: dict[str, type[Yardstick]] = {
    "pil": PilClips,
    "pil_float": PilFloatClips,
    "opencv": OpenCvClips,
    "bare": WholeFrames,
}
TARGETS = {"pil": 0.20, "pil_float": 0.20, "opencv": 0.50, "bare": 1.6}  # ours may cost this much of each
Make = Callable[[], Iterator[Any]]


class Workload(NamedTuple):
    """Frames and list.txt below `root`, of which `batches` are loaded by `workers` processes, cut to `size`."""

    root: Path
    batches: int
    workers: int = 1
    size: int = SIZE
    decode: str = "cpu"

    def config(self) -> Config:
        """The experiment that trains on them."""
        places: dict[str, Any] = {}
        for split in ("train", "val"):
            places |= {f"{split}_root": str(self.root / "frames"), f"{split}_source": str(self.root / "list.txt")}
        return Config.model_validate(
            {
                "model": {"type": "tsm", "backbone": "resnet50", "num_class": 2, "num_segments": SEGMENTS},
                "augmentation": {"input_size": self.size, "scales": SCALES},
                "seed": SEED,
                "source": {"decode": self.decode},
                "batch_size": BATCH,
                "workers": self.workers,
                "lr_scheduler": {"base_lr": 0.01, "max_iter": self.batches},
                **places,
            }
        )


def our_loader(work: Workload) -> Iterator[Any]:
    """The project's own loader, built as a run builds it."""
    config = work.config()
    videos = read_videos(config, "train", sampling=TSN.sampling)
    return build_train_loader(config, videos, TSN, rank=0, world_size=1, start_iteration=0)


def clips_of(work: Workload, videos: Videos) -> TrainSampler:
    """Which clips make which batch, for ours and for what it is measured against."""
    return TrainSampler(
        num_videos=len(videos.videos),
        batch_size=BATCH,
        rank=0,
        world_size=1,
        seed=SEED,
        start_iteration=0,
        max_iter=work.batches,
    )


def plain_loader(work: Workload, kind: type[Yardstick]) -> Iterator[Any]:
    """A DataLoader of a yardstick, over the clips that ours takes."""
    videos = read_videos(work.config(), "train", sampling=TSN.sampling)
    loader: DataLoader[Any] = DataLoader(
        kind(videos=videos.videos, root=videos.root),
        batch_sampler=clips_of(work, videos),
        num_workers=work.workers,
        worker_init_fn=_one_thread,
        multiprocessing_context="fork" if work.workers else None,
    )
    return iter(loader)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def loaders(work: Workload) -> dict[str, Make]:
    """What is measured, by name; each call starts a loader."""
    plain = {name: lambda kind=kind: plain_loader(work, kind) for name, kind in YARDSTICKS.items()}
    ours = {"ours": lambda: our_loader(work)}
    if torch.cuda.is_available():
        ours["device"] = lambda: our_loader(work._replace(decode="device"))
    return {**plain, **ours}


def measure(work: Workload, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds per clip of each loader, the rounds taking turns."""
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, make in loaders(work).items():
            seconds.setdefault(name, []).append(cpu_of_loader(make))
    clips = work.batches * BATCH
    return {name: 1000 * statistics.median(values) / clips for name, values in seconds.items()}


def difference(work: Workload) -> float:
    """Average distance of our pixels from Pillow's, in grey levels."""
    total = count = 0.0
    for ours, pil in zip(our_loader(work), plain_loader(work, PilClips)):
        total += float((ours.frames.short() - pil.short()).abs().sum())
        count += pil.numel()
    return total / count


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader", description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=800, help="clips of each loader and round (800)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--json", action="store_true", help="the milliseconds as a line of JSON at the end")
    return parser.parse_args()


def main() -> None:
    """The command; see the module."""
    arguments = _arguments()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as folder:
        work = Workload(Path(folder), max(1, arguments.clips // BATCH))
        write_frames(work.root, videos=VIDEOS, frames=FRAMES)
        print(f"{VIDEOS * FRAMES} made textures of 340x256, {mean_size(work.root):,} bytes each on average, 4:2:0")
        print(f"average distance from Pillow's pixels: {difference(work._replace(batches=4)):.2f} grey levels")
        found = measure(work, arguments.rounds)
    for name, value in found.items():
        target = f", ours is {found['ours'] / value:.2f} of it (target {TARGETS[name]})" if name in TARGETS else ""
        print(f"{name:9} {value:6.2f} ms CPU per clip{target}")
    if arguments.json:
        kept = ("pil", "opencv", "ours", "bare", "device")
        print(json.dumps({name: round(found[name], 3) for name in kept if name in found}))


if __name__ == "__main__":
    main()
