"""What dense evaluation costs beside the plain way, which reads, decodes and resizes frames for every view anew.

    python -m benchmarks.dense_evaluation [--videos 3] [--frames 300]

Frames are 340x256 JPEGs of the size of real ones. Data: CPU seconds per video of the data set alone, one process.
Whole: CPU seconds per video with a network of few channels, so that the data is not hidden behind it; the largest
difference between the two ways' scores stands beside. The last line is the table as JSON.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from benchmarks.cpu_time import cpu_seconds
from benchmarks.made_frames import write_frames
from datasets.evaluation_dataset import EvaluationDataset
from datasets.evaluation_loader import build_evaluation_loader
from datasets.protocols import Protocol
from datasets.videos import Videos
from engine.commands import read_lists
from engine.distributed import World
from engine.evaluation import evaluate
from engine.evaluation_run import build_scorer, choose_protocols
from engine.signals import StopRequest
from engine.view_scoring import ViewScorer
from engine.weights import build_placed
from utils.config_file import load_config
from utils.config_schema import Config
from utils.transforms import flip, resize_short_side

MODELS: dict[str, dict[str, Any]] = {
    "tsn-25x10": {"type": "tsn", "backbone": "resnet18", "num_segments": 3, "kwargs": {"width": 8}},
    "tsm-dense-10x3": {"type": "tsm", "backbone": "resnet18", "num_segments": 8, "kwargs": {"width": 8}},
    "slowfast-10x3": {"type": "slowfast", "backbone": "resnet18", "num_frames": 32, "kwargs": {"width": 8}},
}
ALONE = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))


class Row(NamedTuple):
    """Seconds per video: CPU of the data, CPU of the whole; `difference`: the largest between scores."""

    protocol: str
    data: float
    data_plain: float
    whole: float
    whole_plain: float
    difference: float

    def as_dict(self) -> dict[str, Any]:
        """For the JSON: with the two ratios."""
        numbers = {name: value for name, value in self._asdict().items() if name != "protocol"}
        numbers |= {"data_ratio": self.data / self.data_plain, "whole_ratio": self.whole / self.whole_plain}
        return {"protocol": self.protocol, **{name: float(f"{value:.3g}") for name, value in numbers.items()}}


def plain_views(videos: Videos, protocol: Protocol, index: int) -> Iterator[torch.Tensor]:
    """Each view of a video, uint8 (T, H, W, C), from frames that are read for it alone."""
    record = videos.videos[index]
    for indices in protocol.clip_indices(record.num_frames):
        for crop in range(protocol.crops):
            frames = resize_short_side(torch.stack(videos.source.read(record.path, indices)), protocol.resize)
            box, flipped = protocol.boxes(frames.shape[1], frames.shape[2])[crop]
            view = frames[:, box.top : box.top + box.height, box.left : box.left + box.width]
            yield flip(view) if flipped else view.contiguous()


def plain_scores(videos: Videos, protocol: Protocol, scorer: ViewScorer, batch: int) -> torch.Tensor:
    """Scores float64 (N, K), `batch` views at a time, video by video."""
    scorer.method.eval()
    rows = []
    for index in range(len(videos.videos)):
        views = list(plain_views(videos, protocol, index))
        with torch.inference_mode():
            parts = [scorer(torch.stack(views[i : i + batch]), protocol.average) for i in range(0, len(views), batch)]
        rows.append(torch.cat(parts).double().mean(dim=0))
    return torch.stack(rows)


def data_cpu(videos: Videos, protocol: Protocol) -> tuple[float, float]:
    """CPU seconds per video of our data set, and of the plain way; the first video of each is not counted."""
    dataset = EvaluationDataset(videos=videos.videos, source=videos.source, protocols=[protocol])
    count = len(videos.videos)
    found = []
    for look in (lambda index: dataset[index], lambda index: list(plain_views(videos, protocol, index))):
        look(0)
        before = cpu_seconds()
        for index in range(count):
            look(index)
        found.append((cpu_seconds() - before) / count)
    return found[0], found[1]


def measure(config: Config, name: str) -> Row:
    """Both ways of `name` on the config's list."""
    (videos,) = read_lists(config, "val")
    method = build_placed(config, ALONE, initialise=True)
    (protocol,) = choose_protocols(config, method, name)
    ours, plain = data_cpu(videos, protocol)
    scorer = build_scorer(config, method, ALONE)
    loader = build_evaluation_loader(config, videos, [protocol], rank=0, world_size=1)
    started = cpu_seconds()
    found = evaluate(scorer, loader, world=ALONE, stop=StopRequest())
    assert found is not None, "nobody asked it to stop"
    whole = cpu_seconds() - started
    started = cpu_seconds()
    scores = plain_scores(videos, protocol, dataclasses.replace(scorer), loader.batches[0].views)
    whole_plain = cpu_seconds() - started
    difference = float((torch.from_numpy(found[0].scores).double() - scores).abs().max())
    count = len(videos.videos)
    return Row(name, ours, plain, whole / count, whole_plain / count, difference)


def write_config(folder: Path, model: dict[str, Any]) -> Path:
    """A config that evaluates `model` on the frames in `folder`, without workers."""
    common = {
        "model": {"num_class": 10, "pretrained": False, **model},
        "workers": 0,
        "batch_size": 8,
        "lr_scheduler": {"base_lr": 0.01, "max_iter": 1},
        **{f"{split}_root": str(folder / "frames") for split in ("train", "val")},
        **{f"{split}_source": str(folder / "list.txt") for split in ("train", "val")},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"common": common}), encoding="utf-8")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Make frames, measure, print; returns the exit status."""
    parser = argparse.ArgumentParser(description="Dense evaluation beside the plain way.")
    parser.add_argument("--videos", type=int, default=3)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--protocols", nargs="+", default=list(MODELS), choices=list(MODELS))
    options = parser.parse_args(arguments)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_frames(folder, videos=options.videos, frames=options.frames)
        for protocol in options.protocols:
            rows.append(measure(load_config(write_config(folder, MODELS[protocol])), protocol).as_dict())
    header = list(rows[0])
    print("| " + " | ".join(header) + " |\n|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(str(row[key]) for key in header) + " |")
    print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
