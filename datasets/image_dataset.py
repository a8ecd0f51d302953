"""Single images: one frame per sample."""

import numpy as np

from datasets.clip_sampling import image_train
from datasets.train_dataset import TrainDataset


class ImageDataset(TrainDataset):
    """One random frame of each video, or the image file itself; samples uint8 (1, H, W, 3)."""

    def choose(self, num_frames: int, rng: np.random.Generator) -> np.ndarray:
        """See `TrainDataset`."""
        return image_train(num_frames, rng=rng)
