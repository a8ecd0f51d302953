"""Which video comes when."""

import itertools

import pytest

from datasets.samplers import EvaluationSampler, SampleKey, TrainSampler


def train_batches(
    *,
    num_videos: int = 10,
    batch: int = 4,
    rank: int = 0,
    world: int = 1,
    iterations: range = range(25),
    parts: int = 1,
) -> list[list[SampleKey]]:
    sampler = TrainSampler(
        num_videos=num_videos,
        batch_size=batch,
        rank=rank,
        world_size=world,
        seed=3,
        start_iteration=iterations.start,
        max_iter=iterations.stop,
        accumulate=parts,
    )
    batches = list(sampler)
    assert len(sampler) == len(batches)
    return batches


def test_every_video_comes_once_per_epoch_in_another_order() -> None:
    keys = list(itertools.chain(*train_batches()))
    assert [key.position for key in keys] == list(range(100))
    epochs = [tuple(key[1] for key in keys[first : first + 10]) for first in range(0, 100, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(epochs)) == 10


@pytest.mark.parametrize("parts", [1, 3])
def test_a_resumed_sampler_goes_on_where_it_stopped(parts: int) -> None:
    whole = train_batches(parts=parts)
    assert len(whole) == 25 * parts
    for start in (0, 1, 7, 24, 25):
        assert train_batches(iterations=range(start, 25), parts=parts) == whole[start * parts :]


@pytest.mark.parametrize("world", [2, 4])
def test_ranks_share_the_batch_that_one_rank_would_take(world: int) -> None:
    ranks = [train_batches(batch=4 // world, rank=rank, world=world) for rank in range(world)]
    assert [list(itertools.chain(*parts)) for parts in zip(*ranks)] == train_batches()


def test_accumulated_batches_are_the_large_batch_in_parts() -> None:
    parts = train_batches(batch=2, parts=2)
    assert [a + b for a, b in zip(parts[::2], parts[1::2])] == train_batches()


def test_a_batch_may_be_larger_than_the_list() -> None:
    (batch,) = train_batches(num_videos=3, batch=8, iterations=range(1))
    assert sorted(key[1] for key in batch[:3]) == [0, 1, 2]
    assert [key.position for key in batch] == list(range(8))


@pytest.mark.parametrize("num_videos", [0, 1, 7, 24, 25])
@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("block", [1, 4])
def test_evaluation_takes_each_video_once_on_any_number_of_ranks(num_videos: int, world: int, block: int) -> None:
    shards = []
    for rank in range(world):
        sampler = EvaluationSampler(num_videos=num_videos, block=block, rank=rank, world_size=world)
        shards.append(list(sampler))
        assert len(sampler) == len(shards[-1])
        assert shards[-1] == sorted(shards[-1])
        assert all(index // block % world == rank for index in shards[-1])
    assert sorted(itertools.chain(*shards)) == list(range(num_videos))
