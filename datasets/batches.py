"""Clips into batches, in the worker that makes them, where the main process can see them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset, Sampler, get_worker_info

from datasets.samplers import SampleKey, TrainSampler
from datasets.shared_memory import SharedMemory, pool
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


class Sent:
    """A batch in a block of shared memory, on its way: it arrives in the main process as a `Batch`."""

    def __init__(self, memory: SharedMemory, block: int, batch: Batch) -> None:
        self._arguments = (memory.number, block, tuple(batch.frames.shape), _numbers(batch), batch.broken)

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, self._arguments


def _numbers(batch: Batch) -> list[list[int]]:
    return [each.tolist() for each in (batch.label, batch.video_index, batch.position)]


def _arrived(number: int, block: int, shape: tuple[int, ...], numbers: list[list[int]], broken: list[str]) -> Batch:
    label, video_index, position = (torch.tensor(each) for each in numbers)
    return Batch(pool(number).open(block, shape), label, video_index, position, broken)


class TrainBatches(Dataset[Any]):
    """Batches of the clips of `dataset`; in a worker, written to `memory` as they are made."""

    def __init__(self, dataset: TrainDataset, memory: SharedMemory | None) -> None:
        self._dataset = dataset
        self._memory = memory

    def __getitem__(self, key: BatchKey) -> Batch | Sent:
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
        frames = torch.empty(shape, dtype=torch.uint8)
        return frames.share_memory_() if get_worker_info() is not None else frames

    def _sent(self, batch: Batch, block: int | None) -> Batch | Sent:
        return batch if self._memory is None or block is None else Sent(self._memory, block, batch)


def _batch(frames: torch.Tensor, samples: list[Sample]) -> Batch:
    return Batch(
        frames=frames,
        label=torch.tensor([sample.label for sample in samples]),
        video_index=torch.tensor([sample.video_index for sample in samples]),
        position=torch.tensor([sample.position for sample in samples]),
        broken=[line for sample in samples for line in sample.broken],
    )
