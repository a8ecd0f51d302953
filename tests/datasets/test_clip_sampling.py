"""Which frames make a clip: the published lists (which count from 1), short videos, and what holds for every length."""

import itertools

import numpy as np
import pytest
import torch

from datasets import clip_sampling
from datasets.clip_sampling import (
    clip_centre,
    clip_test,
    clip_train,
    dense_test,
    dense_train,
    expand,
    image_centre,
    image_train,
    segment_middles,
    segments_centre,
    segments_test,
    segments_train,
    segments_twice,
)
from utils.random_streams import stream


def from_one(indices: np.ndarray) -> list[int]:
    """As the official implementations count."""
    assert indices.dtype == np.int64
    return (indices + 1).tolist()


def draws(function: clip_sampling.Callable[..., np.ndarray], num_frames: int, count: int = 300, **settings: int):
    """`count` clips of one video, a row each."""
    return np.stack([function(num_frames, rng=stream(0, "frames", i), **settings) for i in range(count)])


def test_tsn_validation_takes_the_middles() -> None:
    assert from_one(segments_centre(100, num_segments=8)) == [7, 19, 32, 44, 57, 69, 82, 94]


@pytest.mark.parametrize("num_frames", [1, 5, 8])
def test_tsn_validation_of_a_short_video_repeats_its_first_frame(num_frames: int) -> None:
    assert from_one(segments_centre(num_frames, num_segments=8)) == [1] * 8


def test_tsn_validation_counts_a_segments_frames_as_needed() -> None:
    # 8 segments of 5 frames: 12 frames are too few, 13 give starts with a tick of 9 / 8
    assert from_one(segments_centre(12, num_segments=8, frames_per_segment=5)) == [1] * 8
    assert from_one(segments_centre(13, num_segments=8, frames_per_segment=5)) == [1, 2, 3, 4, 6, 7, 8, 9]


@pytest.mark.parametrize(
    ("num_frames", "expected"),
    [
        (100, [7, 19, 32, 44, 57, 69, 82, 94]),
        (8, [1, 2, 3, 4, 5, 6, 7, 8]),
        (5, [1, 1, 2, 3, 3, 4, 5, 5]),
        (1, [1] * 8),
    ],
)
def test_tsn_test_takes_the_middles_of_short_videos_too(num_frames: int, expected: list[int]) -> None:
    assert from_one(segments_test(num_frames, num_segments=8)) == expected


def test_tsn_test_of_a_video_shorter_than_a_segment_starts_at_its_first_frame() -> None:
    assert from_one(segments_test(3, num_segments=4, frames_per_segment=5)) == [1] * 4


def test_tsn_training_draws_each_part_by_itself() -> None:
    # 30 frames in 4 parts of 7: the last two frames are never drawn
    clips = draws(segments_train, 30, num_segments=4)
    for part in range(4):
        assert set(clips[:, part]) == set(range(7 * part, 7 * part + 7))
    offsets = clips - 7 * np.arange(4)
    assert np.abs(np.corrcoef(offsets.T) - np.eye(4)).max() < 0.2


def test_tsn_training_with_as_many_frames_as_segments_takes_them_all() -> None:
    assert from_one(segments_train(8, num_segments=8, rng=stream(0, "frames", 0))) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_tsn_training_draws_sorted_starts_where_parts_are_shorter_than_a_frame() -> None:
    # 9 frames, 8 segments of 5: 5 starts for 8 segments
    clips = draws(segments_train, 9, num_segments=8, frames_per_segment=5)
    assert (np.diff(clips, axis=1) >= 0).all()
    assert set(clips.ravel()) == {0, 1, 2, 3, 4}
    assert clips.dtype == np.int64


@pytest.mark.parametrize(("num_frames", "frames_per_segment"), [(1, 1), (7, 1), (8, 5), (3, 5)])
def test_tsn_training_of_a_short_video_starts_at_its_first_frame(num_frames: int, frames_per_segment: int) -> None:
    clips = draws(segments_train, num_frames, num_segments=8, frames_per_segment=frames_per_segment, count=20)
    assert (clips == 0).all()


def test_a_segments_frames_are_consecutive_and_stop_at_the_end() -> None:
    starts = np.array([0, 6, 8])
    assert expand(starts, frames_per_segment=3, num_frames=10).tolist() == [0, 1, 2, 6, 7, 8, 8, 9, 9]
    twice = expand(np.stack([starts, starts + 1]), frames_per_segment=2, num_frames=10)
    assert twice.tolist() == [[0, 1, 6, 7, 8, 9], [1, 2, 7, 8, 9, 9]]


def test_tsm_dense_test_spreads_ten_windows_over_the_video() -> None:
    clips = dense_test(300, num_segments=8)
    assert clips.shape == (10, 8)
    assert clips[:, 0].tolist() == [0, 26, 52, 78, 104, 131, 157, 183, 209, 236]
    assert from_one(clips[0]) == [1, 9, 17, 25, 33, 41, 49, 57]
    assert from_one(clips[-1]) == [237, 245, 253, 261, 269, 277, 285, 293]


def test_tsm_dense_test_wraps_around_a_video_shorter_than_its_window() -> None:
    assert [from_one(clip) for clip in dense_test(40, num_segments=8)] == [[1, 9, 17, 25, 33, 1, 9, 17]] * 10
    assert from_one(dense_test(64, num_segments=16)[9]) == list(range(1, 64, 4))


def test_tsm_dense_training_draws_every_start_that_fits() -> None:
    # 67 frames: a window of 64 may start at 0 to 3; the official code never draws the last one
    clips = draws(dense_train, 67, num_segments=8)
    starts, counts = np.unique(clips[:, 0], return_counts=True)
    assert starts.tolist() == [0, 1, 2, 3]
    assert counts.min() > 45
    assert (np.diff(clips, axis=1) == 8).all()


@pytest.mark.parametrize("num_frames", [1, 40, 64])
def test_tsm_dense_training_of_a_short_video_wraps_around(num_frames: int) -> None:
    clips = draws(dense_train, num_frames, num_segments=8, count=20)
    assert (clips == np.arange(0, 64, 8) % num_frames).all()


def test_tsm_twice_takes_middles_and_beginnings() -> None:
    middles, beginnings = segments_twice(100, num_segments=8)
    assert from_one(middles) == [7, 19, 32, 44, 57, 69, 82, 94]
    assert from_one(beginnings) == [1, 13, 26, 38, 51, 63, 76, 88]


def test_slowfast_test_clips_start_where_published() -> None:
    # 300 frames, window 64: delta 236, clip j starts at 23.6 j and the tail is never reached
    clips = clip_test(300, clip_frames=32, stride=2, clips=10)
    assert clips.shape == (10, 32)
    assert clips[:, 0].tolist() == [0, 23, 47, 70, 94, 118, 141, 165, 188, 212]
    assert clips[0, -1] == 63
    assert clips[9, -1] == 275  # 212.4 + 63


def test_slowfast_spreads_its_frames_over_the_whole_window() -> None:
    # linspace(0, 7, 4) is 0, 2.33, 4.67, 7
    assert clip_centre(8, clip_frames=4, stride=2).tolist() == [0, 2, 4, 7]
    assert clip_centre(12, clip_frames=4, stride=2).tolist() == [2, 4, 6, 9]


@pytest.mark.parametrize("num_frames", [1, 20, 63])
def test_slowfast_repeats_the_last_frame_of_a_short_video(num_frames: int) -> None:
    clips = clip_test(num_frames, clip_frames=32, stride=2, clips=10)
    assert (clips == clips[0]).all()
    assert clips[0].tolist() == np.minimum(np.linspace(0, 63, 32), num_frames - 1).astype(int).tolist()
    assert (draws(clip_train, num_frames, clip_frames=32, stride=2, count=10) == clips[0]).all()


@pytest.mark.parametrize(("clip_frames", "stride"), [(32, 2), (8, 8), (64, 1)])
def test_slowfast_clips_are_those_of_pyslowfasts_torch_arithmetic(clip_frames: int, stride: int) -> None:
    for num_frames in range(1, 330, 7):
        delta = max(num_frames - clip_frames * stride, 0)
        clips = clip_test(num_frames, clip_frames=clip_frames, stride=stride, clips=10)
        for j, clip in enumerate(clips):
            positions = torch.linspace(delta * j / 10, delta * j / 10 + clip_frames * stride - 1, clip_frames)
            assert clip.tolist() == positions.clamp(0, num_frames - 1).long().tolist()


def test_slowfast_training_starts_anywhere_in_the_range() -> None:
    clips = draws(clip_train, 104, clip_frames=32, stride=2, count=2000)
    counts = np.bincount(clips[:, 0])
    assert len(counts) == 40  # delta is 40: starts of 0 to 39.99
    assert counts.min() > 20
    assert clips[:, -1].max() == 102  # 39.99 + 63


@pytest.mark.parametrize(
    ("num_frames", "expected"),
    [
        (33, [2, 6, 10, 14, 18, 22, 26, 30]),  # parts of 4: (0 + 4) // 2, (4 + 8) // 2 ...
        (8, [0, 1, 2, 3, 4, 4, 5, 6]),  # parts of 0.875: ends 0 1 2 3 4 4 5 6 7
        (1, [0] * 8),
    ],
)
def test_something_middles_lie_between_rounded_ends(num_frames: int, expected: list[int]) -> None:
    assert segment_middles(num_frames, clip_frames=8).tolist() == expected


def test_an_image_is_any_frame_in_training_and_the_middle_one_in_evaluation() -> None:
    assert set(draws(image_train, 5).ravel()) == {0, 1, 2, 3, 4}
    assert [image_centre(n).tolist() for n in (1, 2, 5)] == [[0], [1], [2]]


RULES = {
    "segments_centre": lambda n: segments_centre(n, num_segments=8),
    "segments_test": lambda n: segments_test(n, num_segments=25),
    "segments_train": lambda n: segments_train(n, num_segments=8, frames_per_segment=5, rng=stream(1, "frames", n)),
    "segments_twice": lambda n: segments_twice(n, num_segments=8),
    "dense_train": lambda n: dense_train(n, num_segments=8, rng=stream(1, "frames", n)),
    "dense_test": lambda n: dense_test(n, num_segments=8),
    "clip_train": lambda n: clip_train(n, clip_frames=32, stride=2, rng=stream(1, "frames", n)),
    "clip_centre": lambda n: clip_centre(n, clip_frames=32, stride=2),
    "clip_test": lambda n: clip_test(n, clip_frames=32, stride=2, clips=10),
    "segment_middles": lambda n: segment_middles(n, clip_frames=8),
    "image_centre": image_centre,
}
WRAPPING = ("dense_train", "dense_test")


@pytest.mark.parametrize("name", RULES)
def test_every_index_is_a_frame_and_frames_come_in_order(name: str) -> None:
    for num_frames in [*range(1, 140), 300, 1000, 99_999]:
        clips = RULES[name](num_frames)
        assert clips.dtype == np.int64
        assert clips.min() >= 0
        assert clips.max() < num_frames
        if name not in WRAPPING or num_frames >= clip_sampling.DENSE_WINDOW:
            assert (np.diff(clips, axis=-1) >= 0).all()


def test_middles_are_the_same_from_both_ends() -> None:
    """Where a part's middle is no whole frame, rounding down must move it towards the first frame alone."""
    for num_frames, num_segments in itertools.product(range(8, 200), (3, 8)):
        starts = segments_test(num_frames, num_segments=num_segments)
        mirrored = num_frames - 1 - starts[::-1]
        assert np.abs(starts - mirrored).max() <= 1
