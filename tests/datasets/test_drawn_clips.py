"""Whatever the settings: indices inside the video, clips of the right length, crops inside the frame, draws alike."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.clip_sampling import (
    clip_centre,
    clip_test,
    clip_train,
    dense_test,
    dense_train,
    segments_centre,
    segments_test,
    segments_train,
    segments_twice,
)
from datasets.samplers import EvaluationSampler, TrainSampler
from utils.transforms import multi_scale_crop, random_resized_crop, scale_jitter_crop

FRAMES = st.integers(1, 5000)
SEGMENTS = st.integers(1, 32)
SEEDS = st.integers(0, 2**32)
SIDES = st.integers(1, 2000)
quick = settings(max_examples=200, deadline=None)


@quick
@given(num_frames=FRAMES, num_segments=SEGMENTS, seed=SEEDS)
def test_segments_lie_in_the_video(num_frames: int, num_segments: int, seed: int) -> None:
    draws = [
        sample(num_frames, num_segments=num_segments, rng=np.random.default_rng(seed))
        for sample in (segments_train, dense_train)
        for _ in range(2)
    ]
    assert (draws[0] == draws[1]).all()
    assert (draws[2] == draws[3]).all()
    fixed = [sample(num_frames, num_segments=num_segments) for sample in (segments_centre, segments_test)]
    fixed += [
        *segments_twice(num_frames, num_segments=num_segments),
        *dense_test(num_frames, num_segments=num_segments),
    ]
    for indices in [*draws, *(np.ravel(clip) for clip in fixed)]:
        assert len(indices) == num_segments
        assert 0 <= indices.min() <= indices.max() < num_frames
    for indices in (draws[0], *map(np.ravel, fixed[:2])):
        assert (np.diff(indices) >= 0).all()


@quick
@given(
    num_frames=FRAMES, clip_frames=st.integers(1, 64), stride=st.integers(1, 16), clips=st.integers(1, 12), seed=SEEDS
)
def test_clips_lie_in_the_video(num_frames: int, clip_frames: int, stride: int, clips: int, seed: int) -> None:
    form = {"clip_frames": clip_frames, "stride": stride}
    drawn = [clip_train(num_frames, **form, rng=np.random.default_rng(seed)) for _ in range(2)]
    assert (drawn[0] == drawn[1]).all()
    views = clip_test(num_frames, **form, clips=clips)
    assert views.shape == (clips, clip_frames)
    for indices in (drawn[0], clip_centre(num_frames, **form), *views):
        assert len(indices) == clip_frames
        assert 0 <= indices.min() <= indices.max() < num_frames
        assert (np.diff(indices) >= 0).all()


@quick
@given(height=SIDES, width=SIDES, size=st.integers(1, 320), seed=SEEDS)
def test_crops_lie_in_the_frame_and_are_one_draw(height: int, width: int, size: int, seed: int) -> None:
    crops = (
        lambda rng: multi_scale_crop(height, width, size=size, scales=[1.0, 0.875, 0.75, 0.66], rng=rng),
        lambda rng: random_resized_crop(height, width, size=size, rng=rng),
        lambda rng: scale_jitter_crop(height, width, size=size, jitter_sizes=[size, size + 64], rng=rng),
    )
    for crop in crops:
        box, again = (crop(np.random.default_rng(seed)) for _ in range(2))
        assert box == again
        assert box.height >= 1
        assert box.width >= 1
        assert 0 <= box.top <= height - box.height
        assert 0 <= box.left <= width - box.width


@quick
@given(
    num_videos=st.integers(1, 60), batch_size=st.integers(1, 9), world_size=st.integers(1, 5), start=st.integers(0, 9)
)
def test_every_epoch_has_each_video_once_on_any_number_of_ranks(
    num_videos: int, batch_size: int, world_size: int, start: int
) -> None:
    options = {"num_videos": num_videos, "batch_size": batch_size, "world_size": world_size, "seed": 3, "max_iter": 12}
    ranks = [list(TrainSampler(rank=rank, start_iteration=0, **options)) for rank in range(world_size)]
    keys = sorted(key for batches in ranks for batch in batches for key in batch)
    assert [key.position for key in keys] == list(range(12 * batch_size * world_size))
    for first in range(0, len(keys) - num_videos + 1, num_videos):
        assert sorted(key.video_index for key in keys[first : first + num_videos]) == list(range(num_videos))
    resumed = [list(TrainSampler(rank=rank, start_iteration=start, **options)) for rank in range(world_size)]
    assert resumed == [batches[start:] for batches in ranks]


@quick
@given(num_videos=st.integers(1, 100), block=st.integers(1, 12), world_size=st.integers(1, 9))
def test_evaluation_has_each_video_once(num_videos: int, block: int, world_size: int) -> None:
    ranks = [
        list(EvaluationSampler(num_videos=num_videos, block=block, rank=rank, world_size=world_size))
        for rank in range(world_size)
    ]
    assert sorted(index for rank in ranks for index in rank) == list(range(num_videos))
