"""Folders of small frames that say what they are: which video, which frame, which half is left."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import simplejpeg
import torch

STEP = 10  # grey levels between two videos or frames; far more than JPEG changes a flat area
LEFT, RIGHT = 40, 200


def frame_pixels(video: int, frame: int, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3): red is the video, green the frame, blue is dark on the left and light on the right."""
    pixels = np.empty((*size, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = STEP * video, STEP * frame
    pixels[:, : size[1] // 2, 2], pixels[:, size[1] // 2 :, 2] = LEFT, RIGHT
    return pixels


def make_frame_folders(
    root: Path,
    videos: Sequence[str],
    frames: int,
    size: tuple[int, int] = (48, 64),
    template: str = "img_{:05d}.jpg",
    first: int = 1,
) -> None:
    """Write `frames` (at most 25) JPEGs of `size` (height, width) for each of `videos` (at most 25) below `root`."""
    assert max(len(videos), frames) <= 25, "more videos or frames than grey levels"
    for number, video in enumerate(videos):
        folder = root / video
        folder.mkdir(parents=True)
        for frame in range(frames):
            data = simplejpeg.encode_jpeg(frame_pixels(number, frame, size), quality=95, colorsubsampling="444")
            (folder / template.format(first + frame)).write_bytes(data)


def make_flow_folder(folder: Path, frames: int, size: tuple[int, int] = (48, 64)) -> None:
    """Write flow pairs: frame i has x = 10 i and y = 255 - 10 i throughout."""
    folder.mkdir(parents=True)
    for frame in range(frames):
        for axis, value in (("x", STEP * frame), ("y", 255 - STEP * frame)):
            data = simplejpeg.encode_jpeg(np.full((*size, 1), value, np.uint8), quality=95, colorspace="GRAY")
            (folder / f"flow_{axis}_{frame + 1:05d}.jpg").write_bytes(data)


def write_list(file: Path, lines: Iterable[str]) -> Path:
    """Write a list file; returns its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def video_number(frames: torch.Tensor) -> int:
    """The video that frames (..., C) of one video come from."""
    return round(float(frames[..., 0].float().mean()) / STEP)


def frame_numbers(frames: torch.Tensor) -> list[int]:
    """Which frames of their video a clip (T, H, W, C) holds, counted from 0."""
    return [round(float(frame[..., 1].float().mean()) / STEP) for frame in frames]


def is_mirrored(clip: torch.Tensor) -> bool:
    """Whether the clip's dark half is on the right."""
    return bool(clip[:, :, 0, 2].float().mean() > clip[:, :, -1, 2].float().mean())
