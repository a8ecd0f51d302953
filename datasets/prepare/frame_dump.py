"""One video to a folder of JPEGs: img_00001.jpg ..., and with flow flow_x_00001.jpg, flow_y_00001.jpg ... too."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import simplejpeg
from PIL import Image

from datasets.broken_video import BrokenVideo
from datasets.prepare.find_videos import VideoFile
from datasets.prepare.frame_folder import private_folder, put_in_place, read_marker, write_marker
from datasets.prepare.frame_rate import at_rate
from datasets.prepare.optical_flow import FlowOfFrames
from datasets.video_decoding import open_video, upright

FEWER_FRAMES = 0.95  # of those the container promises; containers are off by a frame or two without harm


class DumpOptions(NamedTuple):
    """How frames are written: `size` (width, height) of every frame, or `short_side` at most (aspect kept).

    `fps`: so many a second, whatever the video's rate; None: each frame of the video once.
    """

    short_side: int
    size: tuple[int, int] | None
    quality: int
    flow: bool
    fps: float | None = None

    def note(self) -> dict[str, Any]:
        """What a marker says of them, comparable after a trip through JSON."""
        fit: dict[str, Any] = {"size": list(self.size)} if self.size else {"short_side": self.short_side}
        rate = {"fps": self.fps} if self.fps else {}
        return {**fit, **rate, "quality": self.quality, "flow": self.flow}


class DumpResult(NamedTuple):
    """What became of a video: `kind` is "whole", "truncated" (kept; see `reason`), "broken", or "unwritable"."""

    kind: str
    reason: str = ""


class FrameReader:
    """Iterates over the frames of a video, uint8 (H, W, 3), up to its end or its first fault.

    `fps` as in `DumpOptions`. Afterwards `fault` says how the video ends before its time, None if it doesn't. Raises
    `BrokenVideo` where no frame can be decoded, or where there is more video after the fault.
    """

    def __init__(self, path: Path, fps: float | None = None) -> None:
        self.path = path
        self.fps = fps
        self.count = 0  # of decoded frames
        self.fault: str | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        with open_video(self.path) as container:
            promised = container.streams.video[0].frames
            failure = yield from self._decode(container)
            found = f"{self.count} frames decoded" + (f" of {promised}" if promised else "")
            if failure and (self.count == 0 or _packets_left(container)):
                raise BrokenVideo(f"{found}, then a fault in the middle ({failure})")
            if self.count == 0:
                raise BrokenVideo("no frame can be decoded")
            if failure or (self.count < promised - 2 and self.count < FEWER_FRAMES * promised):
                self.fault = f"{found}" + (f" ({failure})" if failure else "")

    def _decode(self, container: av.container.InputContainer) -> Generator[np.ndarray, None, str | None]:
        try:
            frames = self._counted(container)
            for frame in at_rate(frames, self.fps) if self.fps else frames:
                yield upright(frame)
        except (av.FFmpegError, OSError, ValueError, MemoryError) as error:
            return getattr(error, "strerror", None) or str(error)
        return None

    def _counted(self, container: av.container.InputContainer) -> Iterator[av.VideoFrame]:
        for frame in container.decode(video=0):
            self.count += 1
            yield frame


def _packets_left(container: av.container.InputContainer) -> bool:
    """Whether the container goes on where decoding stopped."""
    try:
        return any(packet.size for packet in container.demux(video=0))
    except (av.FFmpegError, OSError, ValueError):
        return False


def fit_size(width: int, height: int, options: DumpOptions) -> tuple[int, int]:
    """(width, height) that a video's frames get; a short side is never enlarged."""
    if options.size:
        return options.size
    scale = options.short_side / min(width, height)
    if scale >= 1.0:
        return width, height
    return max(1, round(width * scale)), max(1, round(height * scale))


def is_dumped(video: VideoFile, frames: Path, options: DumpOptions) -> DumpResult | None:
    """The result that stands in the video's folder, if this very file was dumped with these options."""
    marker = read_marker(frames / video.folder)
    if marker is None:
        return None
    wanted = _note(video.path, options)
    made = marker.get("options")
    if isinstance(made, dict) and made.get("flow") and not options.flow:
        made = {**made, "flow": False}  # more than what is asked for
    if made != wanted["options"] or any(marker.get(key) != wanted[key] for key in ("bytes", "mtime_ns")):
        return None
    reason = marker.get("truncated")
    return DumpResult("truncated", str(reason)) if reason else DumpResult("whole")


def _note(video: Path, options: DumpOptions) -> dict[str, Any]:
    stat = video.stat()
    return {"video": video.name, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns, "options": options.note()}


def dump_video(video: VideoFile, *, frames: Path, options: DumpOptions) -> Iterator[DumpResult | None]:
    """Dump one video to `frames / video.folder`; yields None after each frame and its `DumpResult` at last."""
    target = frames / video.folder
    if target.exists() and read_marker(target) is None and any(target.iterdir()):
        yield DumpResult("broken", f"{target} holds files that dump_frames did not make; move them away")
        return
    try:
        with private_folder(frames) as private:
            made = private / "frames"
            made.mkdir()
            note = _note(video.path, options)
            reader = FrameReader(video.path, options.fps)
            count = yield from _write_frames(reader, made, options)
            num_flows = count - 1 if options.flow else 0
            write_marker(made, {**note, "num_frames": count, "num_flows": num_flows, "truncated": reader.fault})
            put_in_place(made, target, discard=private / "outdated")
    except BrokenVideo as error:
        yield DumpResult("broken", error.reason.removeprefix(f"{video.path}: "))
    except OSError as error:
        yield DumpResult("unwritable", f"{target}: {error.strerror or error}")
    else:
        yield DumpResult("truncated", reader.fault) if reader.fault else DumpResult("whole")


def _write_frames(reader: FrameReader, folder: Path, options: DumpOptions) -> Generator[None, None, int]:
    """Yields after each frame, returns how many there were."""
    flows = FlowOfFrames() if options.flow else None
    size, number = None, 0
    for number, frame in enumerate(reader, start=1):
        size = size or fit_size(frame.shape[1], frame.shape[0], options)  # one size, also where the video changes its
        frame = _resized(frame, size)
        data = simplejpeg.encode_jpeg(frame, quality=options.quality, colorspace="RGB", colorsubsampling="420")
        (folder / f"img_{number:05d}.jpg").write_bytes(data)
        flow = flows.next(frame) if flows else None
        if flow is not None:
            _write_flow(flow, folder, number - 1, options.quality)
        yield None
    return number


def _write_flow(flow: tuple[np.ndarray, np.ndarray], folder: Path, number: int, quality: int) -> None:
    for axis, picture in zip("xy", flow):
        data = simplejpeg.encode_jpeg(picture[..., None], quality=quality, colorspace="GRAY")
        (folder / f"flow_{axis}_{number:05d}.jpg").write_bytes(data)


def _resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Antialiased bilinear, as everywhere in this project."""
    if (frame.shape[1], frame.shape[0]) == size:
        return np.ascontiguousarray(frame)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
