"""Frames out of video files, by PyAV: presentation order, rotation tags applied, RGB."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from datasets.broken_video import BrokenVideo
from datasets.worker_notes import note_file

LARGEST_SIDE = 16384


def upright(frame: av.VideoFrame) -> np.ndarray:
    """uint8 (H, W, 3) RGB of a decoded frame, turned as its rotation tag says (multiples of 90 degrees)."""
    pixels = frame.to_ndarray(format="rgb24")
    quarters = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def open_video(path: Path) -> av.container.InputContainer:
    """Open a file that has a video stream; raises `BrokenVideo`. Decoding uses one thread, so it repeats exactly."""
    note_file(path)
    try:
        container = av.open(str(path), metadata_errors="ignore")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BrokenVideo(f"{path}: can't be opened as a video ({error})") from error
    streams = container.streams.video
    if not streams:
        container.close()
        raise BrokenVideo(f"{path}: holds no video stream")
    decoder = streams[0].codec_context
    if decoder is None:
        container.close()
        raise BrokenVideo(f"{path}: the video stream is in no format that can be decoded")
    decoder.thread_count = 1
    if max(decoder.width, decoder.height) > LARGEST_SIDE:
        container.close()
        raise BrokenVideo(f"{path}: frames are larger than {LARGEST_SIDE} pixels a side")
    return container


def decode_frames(path: Path) -> Iterator[np.ndarray]:
    """Every frame of a video, uint8 (H, W, 3); raises `BrokenVideo` where decoding fails, also after some frames."""
    count = 0
    with open_video(path) as container:
        try:
            for frame in container.decode(video=0):
                yield upright(frame)
                count += 1
        except (av.FFmpegError, ValueError, MemoryError) as error:
            raise BrokenVideo(f"{path}: decoding fails after {count} frames ({error})") from error
    if count == 0:
        raise BrokenVideo(f"{path}: no frame can be decoded")
