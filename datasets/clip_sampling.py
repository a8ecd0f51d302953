"""Which frames of a video make a clip: pure functions of (number of frames, settings, random generator).

All return 0-based int64 frame indices. The formulas are those of the official implementations (TSN: Wang et al.,
ECCV 2016; TSM: Lin et al., ICCV 2019; SlowFast: Feichtenhofer et al., ICCV 2019); their lists count from 1.
"""

from collections.abc import Callable

import numpy as np

DENSE_WINDOW = 64
DENSE_CLIPS = 10


def expand(starts: np.ndarray, *, frames_per_segment: int, num_frames: int) -> np.ndarray:
    """`frames_per_segment` consecutive frames from each start, the last frame repeated at the end of the video."""
    frames = starts[..., None] + np.arange(frames_per_segment)
    return np.minimum(frames, num_frames - 1).reshape(*starts.shape[:-1], -1)


def segments_train(
    num_frames: int, *, num_segments: int, frames_per_segment: int = 1, rng: np.random.Generator
) -> np.ndarray:
    """TSN training: one random start in each of `num_segments` equal parts; returns (num_segments,) starts."""
    starts = num_frames - frames_per_segment + 1
    length = starts // num_segments
    if length > 0:
        return np.arange(num_segments) * length + rng.integers(length, size=num_segments)
    if num_frames > num_segments and starts > 0:
        return np.sort(rng.integers(starts, size=num_segments))
    return np.zeros(num_segments, dtype=np.int64)


def segments_centre(num_frames: int, *, num_segments: int, frames_per_segment: int = 1) -> np.ndarray:
    """TSN validation: the middle of each part; a video of too few frames gives its first frame throughout."""
    if num_frames <= num_segments + frames_per_segment - 1:
        return np.zeros(num_segments, dtype=np.int64)
    return segments_test(num_frames, num_segments=num_segments, frames_per_segment=frames_per_segment)


def segments_test(num_frames: int, *, num_segments: int, frames_per_segment: int = 1) -> np.ndarray:
    """TSN test: the middle of each part, also where parts are shorter than a frame."""
    tick = max(num_frames - frames_per_segment + 1, 1) / num_segments
    return (tick / 2 + tick * np.arange(num_segments)).astype(np.int64)


def segments_twice(num_frames: int, *, num_segments: int, frames_per_segment: int = 1) -> np.ndarray:
    """TSM's two clips, the middles and the beginnings of the parts; returns (2, num_segments)."""
    tick = max(num_frames - frames_per_segment + 1, 1) / num_segments
    offsets = tick * np.arange(num_segments)
    return np.stack([(tick / 2 + offsets), offsets]).astype(np.int64)


def _dense_range(num_frames: int) -> int:
    """Number of positions at which a 64-frame window may start; 1 for shorter videos, whose window wraps."""
    return max(1, 1 + num_frames - DENSE_WINDOW)


def dense_train(
    num_frames: int, *, num_segments: int, frames_per_segment: int = 1, rng: np.random.Generator
) -> np.ndarray:
    """TSM's dense training: segments spread over a 64-frame window at a random start (every legal one alike)."""
    start = int(rng.integers(_dense_range(num_frames)))
    return (start + np.arange(num_segments) * (DENSE_WINDOW // num_segments)) % num_frames


def dense_test(num_frames: int, *, num_segments: int, frames_per_segment: int = 1) -> np.ndarray:
    """TSM's dense test: ten windows from the first to the last start; returns (10, num_segments)."""
    starts = np.linspace(0, _dense_range(num_frames) - 1, DENSE_CLIPS, dtype=np.int64)
    return (starts[:, None] + np.arange(num_segments) * (DENSE_WINDOW // num_segments)) % num_frames


def _clip_from(start: float, num_frames: int, *, clip_frames: int, stride: int) -> np.ndarray:
    indices = np.linspace(start, start + clip_frames * stride - 1, clip_frames)
    return np.clip(indices, 0, num_frames - 1).astype(np.int64)


def clip_train(num_frames: int, *, clip_frames: int, stride: int, rng: np.random.Generator) -> np.ndarray:
    """SlowFast training: a window of `clip_frames * stride` frames at a uniform start; returns (clip_frames,)."""
    delta = max(num_frames - clip_frames * stride, 0)
    return _clip_from(rng.uniform(0, delta), num_frames, clip_frames=clip_frames, stride=stride)


def clip_centre(num_frames: int, *, clip_frames: int, stride: int) -> np.ndarray:
    """The window in the middle of the video; returns (clip_frames,)."""
    delta = max(num_frames - clip_frames * stride, 0)
    return _clip_from(delta / 2, num_frames, clip_frames=clip_frames, stride=stride)


def clip_test(num_frames: int, *, clip_frames: int, stride: int, clips: int) -> np.ndarray:
    """SlowFast test: clip j of `clips` starts at delta * j / clips, as published; returns (clips, clip_frames)."""
    delta = max(num_frames - clip_frames * stride, 0)
    starts = [delta * j / clips for j in range(clips)]
    return np.stack([_clip_from(start, num_frames, clip_frames=clip_frames, stride=stride) for start in starts])


def segment_middles(num_frames: int, *, clip_frames: int) -> np.ndarray:
    """PySlowFast on Something-Something: middles of `clip_frames` parts with rounded ends; returns (clip_frames,)."""
    part = (num_frames - 1) / clip_frames
    i = np.arange(clip_frames)
    return (np.round(part * i).astype(np.int64) + np.round(part * (i + 1)).astype(np.int64)) // 2


def image_train(num_frames: int, *, rng: np.random.Generator) -> np.ndarray:
    """One random frame; returns (1,)."""
    return rng.integers(num_frames, size=1)


def image_centre(num_frames: int) -> np.ndarray:
    """The middle frame; returns (1,)."""
    return np.array([num_frames // 2], dtype=np.int64)


TRAIN_SAMPLING: dict[str, Callable[..., np.ndarray]] = {
    "segments": segments_train,
    "dense": dense_train,
    "clip": clip_train,
    "image": image_train,
}
