"""Which video comes when: functions of the seed and the position in the run, alike for any number of ranks."""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from utils.random_streams import stream


class SampleKey(NamedTuple):
    """`position`: number of the clip in the whole run, over all ranks; `video_index`: of the video in the list."""

    position: int
    video_index: int


class TrainSampler(Sampler[list[SampleKey]]):
    """Batches of this rank from `start_iteration` to `max_iter`, each video once per epoch.

    An iteration takes `batch_size * world_size * accumulate` positions; epoch e is a shuffle by (seed, e). Ranks
    take neighbouring parts, so another number of ranks with the same global batch sees the same clips.
    """

    def __init__(
        self,
        *,
        num_videos: int,
        batch_size: int,
        rank: int,
        world_size: int,
        seed: int,
        start_iteration: int,
        max_iter: int,
        accumulate: int = 1,
    ) -> None:
        self._num_videos = num_videos
        self._batch_size = batch_size
        self._rank, self._world_size = rank, world_size
        self._seed = seed
        self._batches = range(start_iteration * accumulate, max_iter * accumulate)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order, order_epoch = np.empty(0, dtype=np.int64), -1
        for batch in self._batches:
            first = (batch * self._world_size + self._rank) * self._batch_size
            keys = []
            for position in range(first, first + self._batch_size):
                epoch, place = divmod(position, self._num_videos)
                if epoch != order_epoch:
                    order, order_epoch = stream(self._seed, "shuffle", epoch).permutation(self._num_videos), epoch
                keys.append(SampleKey(position, int(order[place])))
            yield keys


class EvaluationSampler(Sampler[int]):
    """Videos of this rank, each exactly once over all ranks: blocks of `block` neighbours are dealt out in turn.

    What is batched together is a block, so scores do not depend on the number of ranks. Nothing is padded: ranks may
    get different numbers of videos, or none. Blocks whose videos are all `done` are dealt to nobody.
    """

    def __init__(self, *, num_videos: int, block: int, rank: int, world_size: int, done: Collection[int] = ()) -> None:
        blocks = [range(first, min(first + block, num_videos)) for first in range(0, num_videos, block)]
        left = [each for each in blocks if not all(index in done for index in each)]
        self._indices = [index for each in left[rank::world_size] for index in each]

    def __len__(self) -> int:
        return len(self._indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indices)
