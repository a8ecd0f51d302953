"""Video files decoded directly: the same frames as dumping them would give, without the folders."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import torch

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.memcached import Memcached
from datasets.frame_sources.protocol import Part
from datasets.frame_sources.root import Root
from datasets.video_decoding import open_video, upright
from datasets.video_index import NotAsIndexed, VideoIndex, decode_group, index_of
from utils.transforms import cut

FAULTS = (av.FFmpegError, ValueError, MemoryError)
KEPT_INDICES = 4096
SHAPE = struct.Struct(">III")


class VideoSource:
    """Frames of `root/<video>` (a video file) by index: frame i is the i-th in presentation order.

    Decoding starts at the key frame before a wanted frame where the file's time stamps can be relied on (see
    `video_index`), at the beginning where they can't; only wanted frames are converted to RGB. Files are opened per
    call, so workers may be forked at any time. With `cache`, memcached servers keep decoded frames.
    """

    def __init__(self, *, root: Path, outside_root: bool = False, cache: Memcached | None = None) -> None:
        self.root = root
        self._root = Root(root, outside_root=outside_root)
        self.cache = cache
        self._counts: dict[str, int] = {}
        self._indices: dict[str, VideoIndex | None] = {}

    def num_frames(self, video: str) -> int:
        """See `FrameSource`: frames that can be decoded, up to the first fault."""
        if video not in self._counts:
            count = 0
            try:
                for _ in self._decode(video):
                    count += 1
            except BrokenVideo:
                if count == 0:
                    raise
            self._counts[video] = count
        if self._counts[video] == 0:
            raise BrokenVideo(f"{self.root / video}: no frame can be decoded")
        return self._counts[video]

    def read(self, video: str, indices: np.ndarray) -> list[torch.Tensor]:
        """See `FrameSource`; a frame that is asked for twice is decoded once."""
        wanted = sorted({int(index) for index in indices})
        if self.cache is None:
            frames = self._decoded(video, wanted)
        else:
            name = self._name(video)
            packed = self.cache.through(
                video,
                [f"{name}\0{index}" for index in wanted],
                lambda missing: _packed(self._decoded(video, [wanted[place] for place in missing])),
            )
            frames = {index: _unpacked(data) for index, data in zip(wanted, packed)}
        if len({tuple(frame.shape) for frame in frames.values()}) > 1:
            raise BrokenVideo(f"{self.root / video}: frames of different sizes")
        return [frames[int(index)] for index in indices]

    def read_part(self, video: str, indices: np.ndarray, part: Part) -> torch.Tensor:
        """See `FrameSource`."""
        frames = self.read(video, indices)
        box = part(*frames[0].shape[:2])
        return torch.stack([cut(frame, box) for frame in frames])

    def _name(self, video: str) -> str:
        """What tells this very file from others."""
        path = self._root.path(video)
        try:
            stat = path.stat()
        except (OSError, ValueError) as error:
            raise BrokenVideo(f"{path}: can't be opened as a video ({error})") from error
        return f"video {self._root.folder.resolve()}\0{video}\0{stat.st_size} {stat.st_mtime_ns}"

    def _decoded(self, video: str, wanted: list[int]) -> dict[int, torch.Tensor]:
        """The wanted frames (ascending), by index."""
        frames = self._by_index(video, wanted)
        return self._from_the_beginning(video, wanted) if frames is None else frames

    def _by_index(self, video: str, wanted: list[int]) -> dict[int, torch.Tensor] | None:
        """None where the file has no index, or decoding does not follow it."""
        with open_video(self._root.path(video)) as container:
            if video not in self._indices:
                while len(self._indices) >= KEPT_INDICES:
                    self._indices.pop(next(iter(self._indices)))
                self._indices[video] = index_of(container)
            index = self._indices[video]
            if index is None or wanted[-1] >= len(index.times):
                return None
            try:
                return {
                    number: self._pixels(video, frame)
                    for key, group in index.groups(wanted)
                    for number, frame in decode_group(container, index, key, group)
                }
            except (NotAsIndexed, *FAULTS):
                self._indices[video] = None
                return None

    def _from_the_beginning(self, video: str, wanted: Iterable[int]) -> dict[int, torch.Tensor]:
        due, frames = set(wanted), {}
        last = max(due)
        for number, frame in enumerate(self._decode(video)):
            if number in due:
                frames[number] = self._pixels(video, frame)
            if number == last:
                return frames
        raise BrokenVideo(f"{self.root / video}: frame {last} is wanted, the video ends before it")

    def _decode(self, video: str) -> Iterator[av.VideoFrame]:
        path = self._root.path(video)
        with open_video(path) as container:
            try:
                yield from container.decode(video=0)
            except FAULTS as error:
                raise BrokenVideo(f"{path}: decoding fails ({error})") from error

    def _pixels(self, video: str, frame: av.VideoFrame) -> torch.Tensor:
        try:
            return torch.from_numpy(upright(frame))
        except FAULTS as error:
            raise BrokenVideo(f"{self.root / video}: a frame can't be turned into RGB ({error})") from error

    def describe(self) -> str:
        """See `FrameSource`."""
        cache = f"; {self.cache.describe()}" if self.cache else ""
        return f"video files below {self.root}, decoded directly{cache}"


def _packed(frames: dict[int, torch.Tensor]) -> list[bytes]:
    return [SHAPE.pack(*frame.shape) + frame.numpy().tobytes() for frame in frames.values()]


def _unpacked(data: bytes) -> torch.Tensor:
    pixels = np.frombuffer(data, dtype=np.uint8, offset=SHAPE.size).copy()
    return torch.from_numpy(pixels.reshape(SHAPE.unpack_from(data)))
