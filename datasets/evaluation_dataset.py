"""Videos to be scored: every needed frame read, decoded and resized once, however many views show it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.protocol import FrameSource
from datasets.hand_over import HandOver
from datasets.list_file import VideoList
from datasets.protocols import Protocol
from datasets.worker_notes import note_video
from utils.errors import UserError
from utils.transforms import CropBox, resize_short_side


class EvaluationVideo(NamedTuple):
    """`frames` uint8 (U, H, W, C), each needed frame once, cut to what the crops cover.

    `clip_indices` int64 (clips, T) point into them; `boxes` are the crops, each with whether it is mirrored.
    `further`: the same video as the other protocols of this evaluation want it, from the same frames.
    """

    frames: torch.Tensor
    clip_indices: np.ndarray
    boxes: list[tuple[CropBox, bool]]
    label: int
    video_index: int
    further: tuple["EvaluationVideo", ...] = ()

    def sent(self, hand_over: HandOver) -> "EvaluationVideo":
        """The video on its way from a worker: pickled and unpickled, it is this one again."""
        further = tuple(video.sent(hand_over) for video in self.further)
        return self._replace(frames=hand_over.send(self.frames), further=further)  # type: ignore[arg-type]


class EvaluationDataset(Dataset[EvaluationVideo]):
    """The videos of a list as `protocols` want them; a broken video ends the evaluation with a `UserError`.

    A frame is read and decoded once, and resized once per size, however many protocols, clips and crops show it.
    In a loader's worker videos go by `hand_over`.
    """

    def __init__(
        self,
        *,
        videos: VideoList,
        source: FrameSource,
        protocols: Sequence[Protocol],
        hand_over: HandOver | None = None,
    ) -> None:
        assert protocols, "an evaluation needs a protocol"
        self._videos = videos
        self._source = source
        self._protocols = protocols
        self._hand_over = hand_over

    def __len__(self) -> int:
        return len(self._videos)

    def __getitem__(self, index: int) -> EvaluationVideo:
        record = self._videos[index]
        note_video(index)
        try:
            num_frames = record.num_frames or self._source.num_frames(record.path)
            wanted = [protocol.clip_indices(num_frames) for protocol in self._protocols]
            needed = np.unique(np.concatenate([indices.ravel() for indices in wanted]))
            frames = torch.stack(self._source.read(record.path, needed))
        except BrokenVideo as error:
            raise UserError(
                f"{self._videos.where(index)}: {error.reason}; evaluation substitutes nothing: "
                "mend the video or take its line out of the list"
            ) from error
        resized: dict[int, torch.Tensor] = {}
        parts = []
        for protocol, indices in zip(self._protocols, wanted):
            if protocol.resize not in resized:
                resized[protocol.resize] = resize_short_side(frames, protocol.resize)
            seen = resized[protocol.resize]
            own, places = np.unique(indices, return_inverse=True)
            if len(own) < len(needed):
                seen = seen[torch.from_numpy(np.searchsorted(needed, own))]
            cut, boxes = _trim(seen, protocol.boxes(seen.shape[1], seen.shape[2]))
            parts.append(EvaluationVideo(cut, places.reshape(indices.shape), boxes, record.label, index))
        video = parts[0]._replace(further=tuple(parts[1:]))
        return video.sent(self._hand_over) if self._hand_over and get_worker_info() else video


def _trim(frames: torch.Tensor, crops: list[tuple[CropBox, bool]]) -> tuple[torch.Tensor, list[tuple[CropBox, bool]]]:
    """Cut frames to the rectangle that all crops together cover, so that no more bytes travel than are looked at."""
    boxes = [box for box, _ in crops]
    top, left = min(box.top for box in boxes), min(box.left for box in boxes)
    bottom = max(box.top + box.height for box in boxes)
    right = max(box.left + box.width for box in boxes)
    moved = [(box._replace(top=box.top - top, left=box.left - left), flipped) for box, flipped in crops]
    return frames[:, top:bottom, left:right].contiguous(), moved
