"""Which packets of a video file make which frames, so that reading can start at a key frame.

Frame i is the i-th in presentation order, as dumping counts. Time stamps tell which one that is only in files that are
sound: each packet a frame, each with a time of its own. Others get no index and are decoded from their beginning.
"""

from collections.abc import Iterator
from typing import NamedTuple

import av
import numpy as np

FORMATS = ("mov", "matroska")  # they store a time stamp per packet, and mark true key frames only
DECODERS = {"h264", "hevc", "vp9", "libdav1d", "av1"}
SKIPPING_DECODERS = {"h264", "hevc"}  # frames that no other needs may be left out between two packets


class NotAsIndexed(Exception):
    """Decoding gave other frames than the packets' time stamps promise."""


class VideoIndex(NamedTuple):
    """`times` of all frames (int64, ascending), and the `keys` among them: positions that decoding can start at."""

    times: np.ndarray
    keys: np.ndarray

    def groups(self, wanted: list[int]) -> Iterator[tuple[int, list[int]]]:
        """(key frame, frames that are decoded from it) of the `wanted` frames, in order."""
        places = np.searchsorted(self.keys, wanted, side="right") - 1
        for place in np.unique(places):
            yield int(self.keys[place]), [frame for frame, its in zip(wanted, places) if its == place]


def index_of(container: av.container.InputContainer) -> VideoIndex | None:
    """The index of an open file, None where it can't be relied on; reads all packets and decodes none."""
    stream = container.streams.video[0]
    if not container.format.name.startswith(FORMATS) or stream.codec_context.name not in DECODERS:
        return None
    times, keys = [], []
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.pts is None or packet.is_corrupt or packet.is_discard:
                return None
            times.append(packet.pts)
            if packet.is_keyframe:
                keys.append(packet.pts)
    except (av.FFmpegError, ValueError):
        return None
    ordered = np.unique(np.array(times, dtype=np.int64))
    if len(ordered) < len(times) or not keys or keys[0] != ordered[0]:
        return None
    return VideoIndex(ordered, np.searchsorted(ordered, np.array(sorted(keys), dtype=np.int64)))


def decode_group(
    container: av.container.InputContainer, index: VideoIndex, key: int, wanted: list[int]
) -> Iterator[tuple[int, av.VideoFrame]]:
    """Frames `wanted` (ascending, all behind the key frame `key` and before the next one), each with its number.

    Frames that nobody wants and no other frame needs are not decoded. Raises `NotAsIndexed` or what PyAV raises.
    """
    stream = container.streams.video[0]
    decoder = stream.codec_context
    may_skip = decoder.name in SKIPPING_DECODERS
    left_out: set[int] = set()
    times, due = {int(index.times[frame]) for frame in wanted}, set(wanted)
    container.seek(int(index.times[key]), stream=stream, backward=True, any_frame=False)
    last = key - 1
    for packet in container.demux(stream):
        if may_skip and packet.pts is not None:
            skip = packet.pts not in times
            decoder.skip_frame = "NONREF" if skip else "DEFAULT"
            left_out |= {int(packet.pts)} if skip else set()
        for frame in decoder.decode(packet):
            number = _number(frame, index)
            if number < key:
                continue  # of the group before, shown before the key frame
            _check_between(index.times[last + 1 : number], left_out)
            last = number
            if number in due:
                due.remove(number)
                yield number, frame
        if not due:
            return
    raise NotAsIndexed(f"frame {min(due)} does not come")


def _number(frame: av.VideoFrame, index: VideoIndex) -> int:
    if frame.pts is None or frame.is_corrupt:
        raise NotAsIndexed("a frame without a time, or a damaged one")
    number = int(np.searchsorted(index.times, frame.pts))
    if number == len(index.times) or index.times[number] != frame.pts:
        raise NotAsIndexed("a frame with a time that no packet has")
    return number


def _check_between(times: np.ndarray, left_out: set[int]) -> None:
    """Frames that did not come must be ones that were left out."""
    if not left_out.issuperset(times.tolist()):
        raise NotAsIndexed("a packet without a frame")
