"""What the three training data sets share: from a key to a clip, one random draw per clip and purpose."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.pictures import PictureSource
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


class EncodedClip(NamedTuple):
    """JPEGs of T frames, the box to cut of each, and whether it is mirrored then."""

    frames: list[bytes]
    box: CropBox
    mirrored: bool


class EncodedSample(NamedTuple):
    """A `Sample` whose frames are still to be decoded."""

    clip: EncodedClip
    label: int
    video_index: int
    position: int
    broken: tuple[str, ...]


AnySample = TypeVar("AnySample", Sample, EncodedSample)


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
        return self._first_sound(key, self._sample)

    def encoded(self, key: SampleKey) -> EncodedSample:
        """The same clip before anything is decoded; of a source of RGB pictures."""
        return self._first_sound(key, self._encoded)

    def _first_sound(self, key: SampleKey, make: Callable[[int, int], AnySample]) -> AnySample:
        """What `make` gives of the key's video, or of the first of its replacements that isn't broken."""
        index, broken = key.video_index, []
        for attempt in range(REPLACEMENTS):
            try:
                sample = make(index, key.position)
            except BrokenVideo as error:
                broken.append(f"{self._videos.where(index)}: {error.reason}")
                if self._bad_data == "stop":
                    raise UserError(
                        f"{broken[-1]}; mend or leave out the video, or set bad_data.train: skip"
                    ) from error
                rng = stream(self._seed, "replacement", key.position, attempt)
                index = int(rng.integers(len(self._videos)))
                continue
            return sample._replace(broken=tuple(broken))
        raise UserError(f"{REPLACEMENTS} broken videos in a row, is the root right? The last one: {broken[-1]}")

    def _sample(self, index: int, position: int) -> Sample:
        path, indices = self._clip_of(index, position)
        frames = self._source.read_part(path, indices, partial(self._box, position))
        frames = resize(frames, (self._size, self._size)).contiguous()
        mirrored, label = self._mirrored(index, position)
        return Sample(flip_(frames) if mirrored else frames, label, index, position, ())

    def _encoded(self, index: int, position: int) -> EncodedSample:
        assert isinstance(self._source, PictureSource), "only pictures are stored encoded, one by one"
        frames, box = self._source.read_encoded(*self._clip_of(index, position), partial(self._box, position))
        mirrored, label = self._mirrored(index, position)
        return EncodedSample(EncodedClip(frames, box, mirrored), label, index, position, ())

    def _clip_of(self, index: int, position: int) -> tuple[str, np.ndarray]:
        """A video's path and the frames to take of it."""
        record = self._videos[index]
        note_video(index)
        num_frames = record.num_frames or self._source.num_frames(record.path)
        return record.path, self.choose(num_frames, stream(self._seed, "frames", position))

    def _box(self, position: int, height: int, width: int) -> CropBox:
        """The part of each frame that the clip shows."""
        return self._crop(height, width, stream(self._seed, "crop", position))

    def _mirrored(self, index: int, position: int) -> tuple[bool, int]:
        """Whether the clip is mirrored, and its label then."""
        label = self._videos[index].label
        if stream(self._seed, "flip", position).random() < self._flip:
            return True, self._flip_label_map.get(label, label)
        return False, label
