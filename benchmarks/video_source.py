"""CPU time of a clip of 32 frames, 2 apart, out of a video of 10 s, by the distance of its key frames.

    python -m benchmarks.video_source [--clips 24] [--rounds 3] [--json]

A clip: decode what it needs of 340x256 H.264 -> random crop -> 224x224 -> flip -> uint8, in this process, with one
thread. Beside it, plain PyAV: seek, decode up to the clip's last frame, convert each frame to RGB. Medians of rounds.
`--json` prints {"key frames every": {"ours": ms, "pyav": ms}} as its last line.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import av
import torch

from benchmarks.made_videos import RATE, SECONDS, write_video
from datasets.loaders import ClipFormat, build_train_dataset
from datasets.samplers import SampleKey
from datasets.train_dataset import TrainDataset
from datasets.videos import read_videos
from utils.config_schema import Config
from utils.random_streams import stream

KEY_FRAMES = (12, 30, 60, 250)
VIDEOS, CLIP_FRAMES, STRIDE = 4, 32, 2
TARGET_MS = 90
CLIP = ClipFormat("clip", 1, "scale_jitter")


class Case(NamedTuple):
    """Videos with one distance of key frames, and the data set that reads them."""

    files: list[Path]
    dataset: TrainDataset

    @property
    def megabytes(self) -> float:
        """Of a video, on average."""
        return sum(file.stat().st_size for file in self.files) / len(self.files) / 1e6


def make_case(root: Path, key_frames: int) -> Case:
    """Write the videos and their list below `root`."""
    root.mkdir()
    files = [root / f"{number}.mp4" for number in range(VIDEOS)]
    for number, file in enumerate(files):
        write_video(file, number=number, key_frames=key_frames)
    (root / "list.txt").write_text("".join(f"{file.name} {RATE * SECONDS} 0\n" for file in files), encoding="utf-8")
    places = {
        f"{split}_{what}": str(root / name)
        for split in ("train", "val")
        for what, name in (("root", ""), ("source", "list.txt"))
    }
    config = Config.model_validate(
        {
            "model": {"type": "slowfast", "backbone": "resnet50", "num_class": 1},
            "source": {"type": "video"},
            "batch_size": 1,
            "lr_scheduler": {"base_lr": 0.1, "max_iter": 1},
            **places,
        }
    )
    return Case(files, build_train_dataset(config, read_videos(config, "train", sampling="clip"), CLIP))


def our_clips(case: Case, clips: int) -> None:
    """The project's training clips."""
    for position in range(clips):
        case.dataset[SampleKey(position, position % VIDEOS)]


def plain_clips(case: Case, clips: int) -> None:
    """The frames of the same clips, by PyAV alone; neither cropped nor resized."""
    for position in range(clips):
        indices = case.dataset.choose(RATE * SECONDS, stream(0, "frames", position))
        _decode_up_to(case.files[position % VIDEOS], int(indices[0]), int(indices[-1]))


def _decode_up_to(file: Path, first: int, last: int) -> None:
    with av.open(str(file)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_count = 1
        container.seek(int(first / (RATE * video.time_base)), stream=video)
        for frame in container.decode(video):
            frame.to_ndarray(format="rgb24")
            if frame.pts >= int(last / (RATE * video.time_base)):
                return


def milliseconds(make: Callable[[Case, int], None], case: Case, clips: int) -> float:
    """CPU time per clip."""
    before = time.process_time()
    make(case, clips)
    return 1000 * (time.process_time() - before) / clips


def measure(root: Path, key_frames: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Median CPU milliseconds per clip, and megabytes per video."""
    case = make_case(root / str(key_frames), key_frames)
    ways = {"ours": our_clips, "pyav": plain_clips}
    found: dict[str, list[float]] = {name: [] for name in ways}
    our_clips(case, VIDEOS)  # the files' indices are made once per worker
    for _ in range(arguments.rounds):
        for name, make in ways.items():
            found[name].append(milliseconds(make, case, arguments.clips))
    return {"megabytes": case.megabytes, **{name: statistics.median(values) for name, values in found.items()}}


def main() -> None:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.video_source", description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=24, help="clips of each way and round (24)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument("--json", action="store_true", help="the milliseconds as a line of JSON at the end")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = {}
    print(f"{'key frames every':17} {'MB a video':>10} {'ours, ms CPU':>13} {'PyAV, ms CPU':>13}   target {TARGET_MS}")
    with tempfile.TemporaryDirectory() as folder:
        for key_frames in KEY_FRAMES:
            row = table[key_frames] = measure(Path(folder), key_frames, arguments)
            print(f"{key_frames:<17} {row['megabytes']:10.2f} {row['ours']:13.1f} {row['pyav']:13.1f}")
    if arguments.json:
        print(json.dumps({key: {name: round(row[name], 1) for name in ("ours", "pyav")} for key, row in table.items()}))


if __name__ == "__main__":
    main()
