"""Videos to be scored: every needed frame read, decoded and resized once, however many views show it."""

from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.protocol import FrameSource
from datasets.list_file import VideoList
from datasets.protocols import Protocol
from utils.errors import UserError
from utils.transforms import CropBox, resize_short_side


class EvaluationVideo(NamedTuple):
    """`frames` uint8 (U, H, W, C), each needed frame once, cut to what the crops cover.

    `clip_indices` int64 (clips, T) point into them; `boxes` are the crops, each with whether it is mirrored.
    """

    frames: torch.Tensor
    clip_indices: np.ndarray
    boxes: list[tuple[CropBox, bool]]
    label: int
    video_index: int


class EvaluationDataset(Dataset[EvaluationVideo]):
    """The videos of a list as `protocol` wants them; a broken video ends the evaluation with a `UserError`."""

    def __init__(
        self, *, videos: VideoList, source: FrameSource, protocol: Protocol, frames_per_segment: int = 1
    ) -> None:
        self._videos = videos
        self._source = source
        self._protocol = protocol
        self._frames_per_segment = frames_per_segment

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, index: int) -> EvaluationVideo:
        record = self._videos[index]
        try:
            num_frames = record.num_frames or self._source.num_frames(record.path)
            wanted = self._protocol.clip_indices(num_frames, self._frames_per_segment)
            needed, places = np.unique(wanted, return_inverse=True)
            frames = torch.stack(self._source.read(record.path, needed))
        except BrokenVideo as error:
            raise UserError(
                f"{self._videos.where(index)}: {error.reason}; evaluation substitutes nothing: "
                "mend the video or take its line out of the list"
            ) from error
        frames = resize_short_side(frames, self._protocol.resize)
        crops = self._protocol.boxes(frames.shape[1], frames.shape[2])
        frames, boxes = _trim(frames, crops)
        return EvaluationVideo(frames, places.reshape(wanted.shape), boxes, record.label, index)


def _trim(frames: torch.Tensor, crops: list[tuple[CropBox, bool]]) -> tuple[torch.Tensor, list[tuple[CropBox, bool]]]:
    """Cut frames to the rectangle that all crops together cover, so that no more bytes travel than are looked at."""
    boxes = [box for box, _ in crops]
    top, left = min(box.top for box in boxes), min(box.left for box in boxes)
    bottom = max(box.top + box.height for box in boxes)
    right = max(box.left + box.width for box in boxes)
    moved = [(box._replace(top=box.top - top, left=box.left - left), flipped) for box, flipped in crops]
    return frames[:, top:bottom, left:right].contiguous(), moved
