"""Clips into batches, in the worker that makes them, where the main process can see them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset, Sampler, get_worker_info

from datasets.hand_over import HandOver, SentTensor
from datasets.samplers import SampleKey, TrainSampler
from datasets.shared_memory import SentBlock, SharedMemory
from datasets.train_dataset import Sample, TrainDataset


class Batch(NamedTuple):
    """`frames` uint8 (B, T, H, W, C); `label`, `video_index` (in the list), `position` (in the run) int64 (B,).

    `broken` has a line for each video that could not be read for this batch.
    """

    frames: torch.Tensor
    label: torch.Tensor
    video_index: torch.Tensor
    position: torch.Tensor
    broken: list[str]

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, for the asynchronous copy to a GPU."""
        return self._replace(frames=self.frames.pin_memory(), label=self.label.pin_memory())


class BatchKey(NamedTuple):
    """The clips of a batch, and the block of shared memory that it is written to (None: wherever)."""

    clips: list[SampleKey]
    block: int | None


class BatchKeys(Sampler[BatchKey]):
    """The batches of `sampler`, each with a block of `memory` that is free when its clips are asked for."""

    def __init__(self, sampler: TrainSampler, memory: SharedMemory | None) -> None:
        self._sampler = sampler
        self._memory = memory

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[BatchKey]:
        for clips in self._sampler:
            yield BatchKey(clips, self._memory.take() if self._memory else None)


class SentBatch:
    """A batch on its way from a worker: it arrives in the main process as a `Batch`."""

    def __init__(self, batch: Batch, frames: SentBlock | SentTensor) -> None:
        self._arguments = (frames, _numbers(batch), batch.broken)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, self._arguments


def _numbers(batch: Batch) -> list[list[int]]:
    return [each.tolist() for each in (batch.label, batch.video_index, batch.position)]


def _arrived(frames: torch.Tensor, numbers: list[list[int]], broken: list[str]) -> Batch:
    label, video_index, position = (torch.tensor(each) for each in numbers)
    return Batch(frames, label, video_index, position, broken)


class TrainBatches(Dataset[Any]):
    """Batches of the clips of `dataset`; in a worker, written to `memory` as they are made.

    Those that have no block there go by `hand_over`.
    """

    def __init__(self, dataset: TrainDataset, memory: SharedMemory | None, hand_over: HandOver) -> None:
        self._dataset = dataset
        self._memory = memory
        self._hand_over = hand_over

    def __getitem__(self, key: BatchKey) -> Batch | SentBatch:
        frames, samples = None, []
        for place, clip in enumerate(key.clips):
            sample = self._dataset[clip]
            if frames is None:
                frames = self._frames((len(key.clips), *sample.frames.shape), key.block)
            frames[place] = sample.frames
            samples.append(sample._replace(frames=frames[place]))
        assert frames is not None, "a batch without clips"
        return self._sent(_batch(frames, samples), key.block)

    def _frames(self, shape: tuple[int, ...], block: int | None) -> torch.Tensor:
        if self._memory is not None and block is not None:
            return torch.from_numpy(self._memory.view(block, shape))
        return torch.empty(shape, dtype=torch.uint8)

    def _sent(self, batch: Batch, block: int | None) -> Batch | SentBatch:
        if get_worker_info() is None:
            return batch
        if self._memory is not None and block is not None:
            return SentBatch(batch, SentBlock(self._memory.number, block, tuple(batch.frames.shape)))
        return SentBatch(batch, self._hand_over.send(batch.frames))


def _batch(frames: torch.Tensor, samples: list[Sample]) -> Batch:
    return Batch(
        frames=frames,
        label=torch.tensor([sample.label for sample in samples]),
        video_index=torch.tensor([sample.video_index for sample in samples]),
        position=torch.tensor([sample.position for sample in samples]),
        broken=[line for sample in samples for line in sample.broken],
    )
