"""A list of image files: each line's path is a picture, a video of one frame."""

from pathlib import Path

import numpy as np
import torch

from datasets.frame_sources.jpeg import decode_rgb, read_bytes


class ImageFileSource:
    """Pictures `root/<path>`."""

    def __init__(self, *, root: Path) -> None:
        self.root = root

    def num_frames(self, video: str) -> int:
        """See `FrameSource`: 1."""
        return 1

    def read(self, video: str, indices: np.ndarray) -> list[torch.Tensor]:
        """See `FrameSource`."""
        path = self.root / video
        return [decode_rgb(read_bytes(path), path)] * len(indices)

    def describe(self) -> str:
        """See `FrameSource`."""
        return f"image files below {self.root}"
