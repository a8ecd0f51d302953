"""Video files decoded directly: the same frames as dumping them would give, without the folders."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import torch

from datasets.broken_video import BrokenVideo
from datasets.video_decoding import open_video, upright


class VideoSource:
    """Frames of `root/<video>` (a video file) by index: frame i is the i-th in presentation order.

    Decoding runs from the beginning to the last wanted frame, which is exact whatever the file's timestamps say;
    only wanted frames are converted to RGB. Files are opened per call, so workers may be forked at any time.
    """

    def __init__(self, *, root: Path) -> None:
        self.root = root
        self._counts: dict[str, int] = {}

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
        wanted = {int(index) for index in indices}
        last = max(wanted)
        frames: dict[int, torch.Tensor] = {}
        for number, frame in enumerate(self._decode(video)):
            if number in wanted:
                frames[number] = self._pixels(video, frame)
            if number == last:
                break
        else:
            raise BrokenVideo(f"{self.root / video}: frame {last} is wanted, the video ends before it")
        if len({tuple(frame.shape) for frame in frames.values()}) > 1:
            raise BrokenVideo(f"{self.root / video}: frames of different sizes")
        return [frames[int(index)] for index in indices]

    def _decode(self, video: str) -> Iterator[av.VideoFrame]:
        path = self.root / video
        with open_video(path) as container:
            try:
                yield from container.decode(video=0)
            except (av.FFmpegError, ValueError, MemoryError) as error:
                raise BrokenVideo(f"{path}: decoding fails ({error})") from error

    def _pixels(self, video: str, frame: av.VideoFrame) -> torch.Tensor:
        try:
            return torch.from_numpy(upright(frame))
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise BrokenVideo(f"{self.root / video}: a frame can't be turned into RGB ({error})") from error

    def describe(self) -> str:
        """See `FrameSource`."""
        return f"video files below {self.root}, decoded directly"
