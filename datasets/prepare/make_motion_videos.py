"""Make the demo's videos: a random texture that pans, zooms or turns; the motion alone is the class.

    python -m datasets.prepare.make_motion_videos OUT [--clips 960] [--val-clips 240]

writes OUT/{train,val}/<class>/<class>_train_0001.mp4, OUT/{train,val}_split.txt (`path label`), OUT/classInd.txt. A
motion and its reverse show the same frames in the other order, so no single frame, and no average over frames, tells
them apart. Started again, it makes what is missing.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from datasets.prepare.arguments import whole_number
from datasets.prepare.progress import progress_bar
from utils.errors import run_command
from utils.random_streams import stream

CLASSES = (
    "pan_left",
    "pan_right",
    "pan_up",
    "pan_down",
    "zoom_in",
    "zoom_out",
    "turn_clockwise",
    "turn_counter_clockwise",
)
SIDE = 64  # pixels
FRAMES = 72  # more than the 64 of TSM's dense window
TEXTURE_SIDE = 256
SPLITS = ("train", "val")


class Clip(NamedTuple):
    """One video to make: `number` counts within its split, `label` is its class."""

    split: str
    number: int
    label: int

    @property
    def path(self) -> str:
        """Below the output folder."""
        name = CLASSES[self.label]
        return f"{self.split}/{name}/{name}_{self.split}_{self.number // len(CLASSES) + 1:04d}.mp4"


def texture(rng: np.random.Generator) -> np.ndarray:
    """Coloured noise in patches of 16 and 32 pixels, uint8 (TEXTURE_SIDE, TEXTURE_SIDE, 3)."""
    total = np.zeros((TEXTURE_SIDE, TEXTURE_SIDE, 3), dtype=np.float32)
    for cells in (8, 16):
        noise = rng.random((cells, cells, 3), dtype=np.float32)
        total += cv2.resize(noise, (TEXTURE_SIDE, TEXTURE_SIDE), interpolation=cv2.INTER_CUBIC)
    low, high = total.min(axis=(0, 1)), total.max(axis=(0, 1))
    return (255 * (total - low) / (high - low)).astype(np.uint8)


def motion(label: int, time: float, speed: float) -> np.ndarray:
    """The camera's 2x3 matrix at `time` (0 in the middle of the clip): texture = matrix applied to the picture.

    The classes name what the picture does, so the camera moves the other way. `speed` (0.7 to 1.1) counts pixels, 1.5
    hundredths of the size, or 1.5 degrees per frame.
    """
    sign = 1 if label % 2 == 0 else -1
    along = sign * time * speed
    kind = label // 2
    if kind < 2:
        shift = (along, 0.0) if kind == 0 else (0.0, along)
        return np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    angle = -np.deg2rad(1.5 * along) if kind == 3 else 0.0  # the camera turns against the picture
    scale = float(np.exp(-0.015 * along)) if kind == 2 else 1.0
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0]])


def render(clip: Clip) -> list[np.ndarray]:
    """The frames of a clip, uint8 (SIDE, SIDE, 3), a function of its split and number alone."""
    rng = stream(SPLITS.index(clip.split), "motion video", clip.number)
    picture = texture(rng)
    speed = rng.uniform(0.7, 1.1)
    start = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(start), -np.sin(start)], [np.sin(start), np.cos(start)]])
    centre = np.array([TEXTURE_SIDE / 2, TEXTURE_SIDE / 2])
    frames = []
    for index in range(FRAMES):
        matrix = motion(clip.label, index - (FRAMES - 1) / 2, speed)
        # Picture coordinates from its centre, moved by the camera, then turned into the texture's own direction.
        linear = turn @ matrix[:, :2]
        offset = turn @ matrix[:, 2] + centre - linear @ np.array([SIDE / 2, SIDE / 2])
        warp = np.concatenate([linear, offset[:, None]], axis=1)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        frames.append(cv2.warpAffine(picture, warp, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_WRAP))
    return frames


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    """Write an H.264 mp4 of key frames only: the direction of time leaves no trace in the coding of a frame."""
    temporary = path.with_name(f".{path.name}")  # hidden: dump_frames leaves it out
    with av.open(str(temporary), "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=Fraction(25))
        video.width, video.height, video.pix_fmt = SIDE, SIDE, "yuv444p"
        video.codec_context.thread_count = 1
        video.options = {"crf": "12", "g": "1", "preset": "ultrafast"}
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(video.encode(None))
    temporary.replace(path)


def make(out: Path, clip: Clip) -> None:
    """Make one video."""
    cv2.setNumThreads(1)
    write_video(out / clip.path, render(clip))


def main(arguments: list[str] | None = None) -> int:
    """Make all videos and write the splits; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make the demo's videos: motion alone is the class.")
    parser.add_argument("out", type=Path, metavar="OUT")
    some = whole_number(len(CLASSES), 9999 * len(CLASSES))
    parser.add_argument("--clips", type=some, default=960, help="videos of the training split (960)")
    parser.add_argument("--val-clips", type=some, default=240, help="videos of the validation split (240)")
    parser.add_argument("--workers", type=whole_number(1, 1024), default=2, help="processes (2)")
    options = parser.parse_args(arguments)
    counts = {"train": options.clips, "val": options.val_clips}
    clips = [Clip(split, number, number % len(CLASSES)) for split in SPLITS for number in range(counts[split])]
    for folder in {(options.out / clip.path).parent for clip in clips}:
        folder.mkdir(parents=True, exist_ok=True)
    missing = [clip for clip in clips if not (options.out / clip.path).exists()]
    with ProcessPoolExecutor(options.workers) as pool:
        made = pool.map(partial(make, options.out), missing, chunksize=16)
        list(progress_bar(made, total=len(missing), what="videos"))
    for split in SPLITS:
        lines = [f"{clip.path} {clip.label}\n" for clip in clips if clip.split == split]
        (options.out / f"{split}_split.txt").write_text("".join(lines), encoding="utf-8")
    names = [f"{number} {name}\n" for number, name in enumerate(CLASSES, start=1)]
    (options.out / "classInd.txt").write_text("".join(names), encoding="utf-8")
    print(f"{len(clips)} videos of {len(CLASSES)} classes in {options.out}, {len(missing)} of them made now")
    return 0


if __name__ == "__main__":
    run_command(main)
