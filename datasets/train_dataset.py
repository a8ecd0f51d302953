"""What the three training data sets share: from a key to a clip, one random draw per clip and purpose."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.protocol import FrameSource
from datasets.list_file import VideoList
from datasets.samplers import SampleKey
from datasets.worker_notes import note_video
from utils.errors import UserError
from utils.random_streams import stream
from utils.transforms import CropBox, flip_, resize

REPLACEMENTS = 20


class Sample(NamedTuple):
    """A clip, uint8 (T, H, W, C), with its label, and `broken`: lines on videos that could not be read for it."""

    frames: torch.Tensor
    label: int
    video_index: int
    position: int
    broken: tuple[str, ...]


class TrainDataset(Dataset[Sample]):
    """Clips of the videos of a list, cropped to `size` x `size`.

    `crop` draws a box from (height, width, rng). A clip is mirrored with probability `flip`, and its label becomes
    `flip_label_map`'s. Every draw is a function of (seed, purpose, position). A broken video is replaced by another
    that is drawn alike, and named in the sample (`bad_data` "skip"), or ends the run (`bad_data` "stop").
    Subclasses say which frames make a clip.
    """

    def __init__(
        self,
        *,
        videos: VideoList,
        source: FrameSource,
        crop: Callable[[int, int, np.random.Generator], CropBox],
        size: int,
        seed: int,
        flip: float = 0.5,
        flip_label_map: dict[int, int] | None = None,
        bad_data: str = "skip",
    ) -> None:
        self._videos = videos
        self._source = source
        self._crop = crop
        self._size = size
        self._seed = seed
        self._flip = flip
        self._flip_label_map = flip_label_map or {}
        self._bad_data = bad_data

    def choose(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """0-based frames of one clip of a video of `num_frames` frames, int64 (T,)."""
        raise NotImplementedError(f"{type(self).__name__} must say which frames make a clip")

    def frames_per_clip(self) -> int:
        """T, the same for every video."""
        return len(self.choose(1, stream(self._seed, "frames", 0)))

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, key: SampleKey) -> Sample:
        index, broken = key.video_index, []
        for attempt in range(REPLACEMENTS):
            try:
                frames = self._read(index, key.position)
            except BrokenVideo as error:
                broken.append(f"{self._videos.where(index)}: {error.reason}")
                if self._bad_data == "stop":
                    raise UserError(
                        f"{broken[-1]}; mend or leave out the video, or set bad_data.train: skip"
                    ) from error
                rng = stream(self._seed, "replacement", key.position, attempt)
                index = int(rng.integers(len(self._videos)))
                continue
            return self._sample(frames, index, key.position, tuple(broken))
        raise UserError(f"{REPLACEMENTS} broken videos in a row, is the root right? The last one: {broken[-1]}")

    def _read(self, index: int, position: int) -> torch.Tensor:
        """The part of each frame that the clip's crop shows, as large as it is stored."""
        record = self._videos[index]
        note_video(index)
        num_frames = record.num_frames or self._source.num_frames(record.path)
        indices = self.choose(num_frames, stream(self._seed, "frames", position))

        def part(height: int, width: int) -> CropBox:
            return self._crop(height, width, stream(self._seed, "crop", position))

        return self._source.read_part(record.path, indices, part)

    def _sample(self, frames: torch.Tensor, index: int, position: int, broken: tuple[str, ...]) -> Sample:
        label = self._videos[index].label
        frames = resize(frames, (self._size, self._size)).contiguous()
        if stream(self._seed, "flip", position).random() < self._flip:
            frames, label = flip_(frames), self._flip_label_map.get(label, label)
        return Sample(frames, label, index, position, broken)
