"""Clips that travel as JPEGs, to be decoded, cut and resized where they are needed: `source.decode: device`."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch.nn.functional import interpolate
from torch.utils.data import Dataset
from torchvision.io import ImageReadMode, decode_jpeg

from datasets.batches import Batch, BatchKey
from datasets.broken_video import BrokenVideo
from datasets.frame_sources.jpeg import decode_rgb
from datasets.train_dataset import EncodedClip, TrainDataset
from utils.errors import UserError


class EncodedBatch(NamedTuple):
    """A `Batch` before its frames are decoded."""

    clips: list[EncodedClip]
    label: torch.Tensor
    video_index: torch.Tensor
    position: torch.Tensor
    broken: list[str]


class EncodedBatches(Dataset[Any]):
    """Batches of the encoded clips of `dataset`, as a worker makes them: read, but not decoded."""

    def __init__(self, dataset: TrainDataset) -> None:
        self._dataset = dataset

    def __getitem__(self, key: BatchKey) -> EncodedBatch:
        samples = [self._dataset.encoded(clip) for clip in key.clips]
        return EncodedBatch(
            clips=[sample.clip for sample in samples],
            label=torch.tensor([sample.label for sample in samples]),
            video_index=torch.tensor([sample.video_index for sample in samples]),
            position=torch.tensor([sample.position for sample in samples]),
            broken=[line for sample in samples for line in sample.broken],
        )


def decoded(
    batches: Iterable[EncodedBatch], *, size: int, device: torch.device, where: Callable[[int], str]
) -> Iterator[Batch]:
    """The batches with their frames, uint8 (B, T, size, size, 3) on `device`; `where` names a video in the list.

    Pixels are those of exact decoding and Pillow's bilinear resize to about one grey level.
    """
    for batch in batches:
        pictures = _decode([data for clip in batch.clips for data in clip.frames], device)
        length = len(batch.clips[0].frames)
        clips = []
        for number, clip in enumerate(batch.clips):
            video = where(int(batch.video_index[number]))
            own = pictures[number * length : (number + 1) * length] or [
                _decode_strictly(data, device, video) for data in clip.frames
            ]
            clips.append(_cut(own, clip, size))
        yield Batch(torch.stack(clips), batch.label, batch.video_index, batch.position, batch.broken)


def _decode(data: list[bytes], device: torch.device) -> list[torch.Tensor]:
    """All pictures, uint8 (3, H, W), in one call; none where there is one among them that can't be decoded so."""
    try:
        encoded = [torch.frombuffer(bytearray(each), dtype=torch.uint8) for each in data]
        return decode_jpeg(encoded, mode=ImageReadMode.RGB, device=device)
    except (RuntimeError, ValueError):
        return []


def _decode_strictly(data: bytes, device: torch.device, video: str) -> torch.Tensor:
    """One picture, as the loader's workers decode it, which finds out what is wrong with it."""
    try:
        return decode_rgb(data, "a frame").permute(2, 0, 1).to(device)
    except BrokenVideo as error:
        raise UserError(
            f"{video}: {error.reason}; needs sound frames: mend or leave out the video, or set common.source.decode: "
            "cpu, which can skip it"
        ) from error


def _cut(pictures: list[torch.Tensor], clip: EncodedClip, size: int) -> torch.Tensor:
    """uint8 (T, size, size, 3): the clip's box of each picture, resized, mirrored."""
    top, left, height, width = clip.box
    frames = torch.stack([picture[:, top : top + height, left : left + width] for picture in pictures])
    if (height, width) != (size, size):
        resized = interpolate(frames.float(), (size, size), mode="bilinear", antialias=True)
        frames = resized.round_().clamp_(0, 255).to(torch.uint8)
    if clip.mirrored:
        frames = frames.flip(3)
    return frames.permute(0, 2, 3, 1)
