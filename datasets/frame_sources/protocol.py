"""What a data set asks of a source of frames."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from datasets.frame_sources.memcached import Memcached
from utils.transforms import CropBox

Part = Callable[[int, int], CropBox]  # of (height, width): the box that is wanted of each frame of a clip


class FrameSource(Protocol):
    """Frames of videos below a root, with memcached servers in front or not (`cache`).

    Its methods raise `BrokenVideo`; an instance may be copied into workers.
    """

    cache: Memcached | None

    def num_frames(self, video: str) -> int:
        """How many frames the video has."""

    def read(self, video: str, indices: np.ndarray) -> list[torch.Tensor]:
        """Frames `indices` (int64 (T,), counted from 0) as T uint8 tensors (H, W, C) of one size."""

    def read_part(self, video: str, indices: np.ndarray, part: Part) -> torch.Tensor:
        """The box that `part` gives, of each of these frames, as uint8 (T, height, width, C) of its own.

        Made as fast as can be: colours may differ from `read`'s by some grey levels at edges.
        """

    def describe(self) -> str:
        """A line for the log."""
