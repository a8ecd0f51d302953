"""One video -> one folder of frames, complete or not there at all."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from datasets.broken_video import BrokenVideo
from datasets.video_decoding import decode_frames

MARKER = ".dump.json"  # lies in a finished folder: what it was made from, and how
FLOW_BOUND = 20.0  # pixels; TSN's 8-bit mapping


@dataclass(frozen=True)
class DumpOptions:
    """How frames are written: `short_side` or a fixed `size` (width, height), or as they are; `flow` adds TV-L1."""

    short_side: int | None = None
    size: tuple[int, int] | None = None
    quality: int = 95
    flow: bool = False


@dataclass(frozen=True)
class Dumped:
    """What became of a video: number of frames in its folder, and a line where something was wrong with it."""

    video: str
    frames: int
    fault: str | None = None


def resized(frame: np.ndarray, options: DumpOptions) -> np.ndarray:
    """The frame at its stored size: bilinear, antialiased; a short side is never enlarged."""
    height, width = frame.shape[:2]
    if options.size is not None:
        target = options.size
    elif options.short_side is not None and options.short_side < min(height, width):
        factor = options.short_side / min(height, width)
        target = (max(1, round(width * factor)), max(1, round(height * factor)))
    else:
        return frame
    if target == (width, height):
        return frame
    return np.asarray(Image.fromarray(frame).resize(target, Image.Resampling.BILINEAR))


def flow_as_bytes(flow: np.ndarray) -> np.ndarray:
    """Flow in pixels -> uint8: -20 and less is 0, 20 and more 255, no motion 128 (TSN's mapping)."""
    clipped = np.clip(flow, -FLOW_BOUND, FLOW_BOUND)
    return np.round(255 * (clipped + FLOW_BOUND) / (2 * FLOW_BOUND)).astype(np.uint8)


class FlowWriter:
    """Writes flow_x_00001.jpg, flow_y_00001.jpg ... between neighbouring frames, by TV-L1 (Zach et al., 2007)."""

    def __init__(self, folder: Path, quality: int) -> None:
        self._folder = folder
        self._quality = quality
        self._algorithm = cv2.optflow.DualTVL1OpticalFlow_create()
        self._last: np.ndarray | None = None
        self._count = 0
        self._flow: np.ndarray | None = None

    def add(self, frame: np.ndarray) -> None:
        """Take the next frame, RGB."""
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if self._last is not None:
            self._flow = self._algorithm.calc(self._last, grey, None)
            self._write(self._flow)
        self._last = grey

    def close(self) -> None:
        """Write the last pair once more, so that there are as many flows as frames."""
        if self._last is not None:
            self._write(np.zeros((*self._last.shape, 2), np.float32) if self._flow is None else self._flow)

    def _write(self, flow: np.ndarray) -> None:
        self._count += 1
        for axis, name in enumerate("xy"):
            picture = np.ascontiguousarray(flow_as_bytes(flow[..., axis])[..., None])
            data = simplejpeg.encode_jpeg(picture, self._quality, "GRAY", "Gray")
            (self._folder / f"flow_{name}_{self._count:05d}.jpg").write_bytes(data)


def _write_frames(path: Path, folder: Path, options: DumpOptions) -> tuple[int, str | None]:
    """Frames of `path` as img_00001.jpg ...; returns their number, and why there are no more if decoding broke off."""
    count, fault = 0, None
    flow = FlowWriter(folder, options.quality) if options.flow else None
    frames: Iterator[np.ndarray] = decode_frames(path)
    try:
        for frame in frames:
            picture = np.ascontiguousarray(resized(frame, options))
            count += 1
            data = simplejpeg.encode_jpeg(picture, options.quality, "RGB", "420")
            (folder / f"img_{count:05d}.jpg").write_bytes(data)
            if flow is not None:
                flow.add(picture)
    except BrokenVideo as error:
        if count == 0:
            raise
        fault = f"truncated or damaged, its first {count} frames were kept: {error.reason}"
    if flow is not None:
        flow.close()
    return count, fault


def _marker(path: Path, options: DumpOptions) -> dict:
    stat = path.stat()
    made_of = {"source": path.name, "bytes": stat.st_size, "modified": stat.st_mtime_ns}
    return json.loads(json.dumps({**made_of, "options": asdict(options)}))


def _finished(folder: Path, marker: dict, name: str) -> Dumped | None:
    """What a finished folder holds; a folder that was made otherwise is not touched, and named."""
    if not folder.exists():
        return None
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Dumped(name, 0, f"{folder} is there already and was not made by this command; remove it")
    frames, fault = found.pop("frames"), found.pop("fault")
    if found["source"] != marker["source"]:
        return Dumped(name, 0, f"{folder} belongs to {found['source']}: two videos of one name, rename one of them")
    if found != marker:
        return Dumped(name, 0, f"{folder} was made with other options or from another file; remove it to make it anew")
    return Dumped(name, frames, fault)


def _remove_leftovers(folder: Path) -> None:
    """Half folders of processes of this machine that live no more."""
    for part in folder.parent.glob(f".{folder.name}.{socket.gethostname()}.*.part"):
        number = part.name.split(".")[-2]
        if number.isdecimal() and not Path("/proc", number).exists():
            shutil.rmtree(part, ignore_errors=True)


def dump_video(path: Path, folder: Path, options: DumpOptions, name: str) -> Dumped:
    """Write the frames of `path` into `folder`, which appears when it is complete; what is finished is left alone.

    Raises `BrokenVideo` where there is not a single frame.
    """
    cv2.setNumThreads(1)
    marker = _marker(path, options)
    done = _finished(folder, marker, name)
    if done is not None:
        return done
    _remove_leftovers(folder)
    part = folder.with_name(f".{folder.name}.{socket.gethostname()}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        frames, fault = _write_frames(path, part, options)
        text = json.dumps({**marker, "frames": frames, "fault": fault})
        (part / MARKER).write_text(text, encoding="utf-8")
        try:
            part.rename(folder)
        except OSError:  # another job was faster
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return _finished(folder, marker, name) or Dumped(name, frames, fault)
