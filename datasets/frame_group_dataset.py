"""Groups of frames spread over the whole video, as TSN and TSM take them."""

from typing import Any

import numpy as np

from datasets.clip_sampling import expand, segments_train
from datasets.train_dataset import TrainDataset


class FrameGroupDataset(TrainDataset):
    """One random place in each of `num_segments` parts, `frames_per_segment` frames from there.

    Samples are uint8 (num_segments * frames_per_segment, H, W, C).
    """

    def __init__(self, *, num_segments: int, frames_per_segment: int = 1, **options: Any) -> None:
        super().__init__(**options)
        self._num_segments = num_segments
        self._frames_per_segment = frames_per_segment

    def choose(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """See `TrainDataset`."""
        length = self._frames_per_segment
        starts = segments_train(num_frames, num_segments=self._num_segments, frames_per_segment=length, rng=rng)
        return expand(starts, frames_per_segment=length, num_frames=num_frames)
