"""What a data set asks of a source of frames."""

from typing import Protocol

import numpy as np
import torch


class FrameSource(Protocol):
    """Frames of videos below a root. Both methods raise `BrokenVideo`; an instance may be copied into workers."""

    def num_frames(self, video: str) -> int:
        """How many frames the video has."""

    def read(self, video: str, indices: np.ndarray) -> list[torch.Tensor]:
        """Frames `indices` (int64 (T,), counted from 0) as T uint8 tensors (H, W, C) of one size."""

    def describe(self) -> str:
        """A line for the log."""
