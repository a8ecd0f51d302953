"""Clips of neighbouring frames, as SlowFast takes them."""

from typing import Any

import numpy as np

from datasets.clip_sampling import clip_train
from datasets.train_dataset import TrainDataset


class ClipDataset(TrainDataset):
    """`clip_frames` frames, `stride` apart, from a random start; samples are uint8 (clip_frames, H, W, 3)."""

    def __init__(self, *, clip_frames: int, stride: int, **options: Any) -> None:
        super().__init__(**options)
        self._clip_frames = clip_frames
        self._stride = stride

    def choose(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """See `TrainDataset`."""
        return clip_train(num_frames, clip_frames=self._clip_frames, stride=self._stride, rng=rng)
