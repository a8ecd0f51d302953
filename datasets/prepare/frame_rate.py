"""Frames of a video at another rate: some left out, some shown twice."""

import math
from collections.abc import Iterator

import av

USUAL_SECONDS = 0.04


def at_rate(frames: Iterator[av.VideoFrame], fps: float) -> Iterator[av.VideoFrame]:
    """`fps` frames a second: a frame that is shown from a to b fills the places round(a fps) to round(b fps) - 1.

    A frame without a time follows the one before it. There is one frame at least.
    """
    shown: list[av.VideoFrame] = []  # the frame before, once there is one
    start, end, place, written = 0.0, 0.0, 0, 0
    for frame in frames:
        time = frame.time if frame.time is not None else end
        start = start if shown else time
        now = max(place, _place(time - start, fps))
        for last in shown * (now - place):
            written += 1
            yield last
        shown, place, end = [frame], now, time + _seconds(frame)
    places = _place(end - start, fps) - place
    yield from shown * (places if written else max(1, places))


def _place(seconds: float, fps: float) -> int:
    """The nearest place, halves upwards, whatever the last digits of a time."""
    return math.floor(seconds * fps + 0.5 + 1e-6)


def _seconds(frame: av.VideoFrame) -> float:
    """How long a frame is shown, as far as the file says."""
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return USUAL_SECONDS
