"""List files as most are, read all lines at once: a million of them in less than a second.

Plain is a list of ASCII lines `path num_frames label` with one space between them. What is not plain, or has a fault,
is left to `list_file`, which looks at every line and can say what is wrong with it.
"""

from typing import NamedTuple

import numpy as np

NEWLINE, SPACE, ZERO, SLASH = b"\n"[0], b" "[0], b"0"[0], b"/"[0]
DIGITS = 9  # what fits 32 bits


class PlainList(NamedTuple):
    """The paths' bytes one behind the other (uint8), where each ends (int64), and two numbers per line (int32)."""

    paths: np.ndarray
    ends: np.ndarray
    num_frames: np.ndarray
    labels: np.ndarray


def parse_plain(data: bytes, *, num_class: int, outside_root: bool) -> PlainList | None:
    """The lines of a plain list without faults, None for any other."""
    data = data.replace(b"\r\n", b"\n").removesuffix(b"\n") + b"\n"
    if not data.isascii() or not (outside_root or b".." not in data):
        return None
    text = np.frombuffer(data, dtype=np.uint8)
    line_ends = np.flatnonzero(text == NEWLINE)
    if np.count_nonzero(text < SPACE) > len(line_ends):
        return None  # tabs and other control characters
    starts = np.concatenate([[0], line_ends[:-1] + 1])
    labels, label_starts = _numbers_before(text, line_ends)
    num_frames, path_ends = _numbers_before(text, label_starts)
    sound = (labels >= 0) & (labels < num_class) & (num_frames >= 1) & (path_ends > starts)
    if not sound.all() or not _trimmed(text, starts, path_ends, outside_root):
        return None
    inside = np.zeros(len(text) + 1, dtype=np.int8)
    inside[starts], inside[path_ends] = 1, -1
    paths = text[np.cumsum(inside[:-1], dtype=np.int8).view(bool)]
    return PlainList(paths, np.cumsum(path_ends - starts), num_frames.astype(np.int32), labels.astype(np.int32))


def _numbers_before(text: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The number that stands in front of each of `ends`, -1 where none does, and where the space before it is."""
    total, at = np.zeros(len(ends), dtype=np.int64), ends - 1
    going = np.ones(len(ends), dtype=bool)
    for place in range(DIGITS):
        digit = text[np.maximum(at, 0)].astype(np.int64) - ZERO
        going &= (at >= 0) & (digit >= 0) & (digit <= 9)
        total += np.where(going, digit * 10**place, 0)
        at = at - going
        if not going.any():
            break
    spaced = (at >= 0) & (at < ends - 1) & (text[np.maximum(at, 0)] == SPACE)
    return np.where(spaced, total, -1), at


def _trimmed(text: np.ndarray, starts: np.ndarray, path_ends: np.ndarray, outside_root: bool) -> bool:
    """No path begins or ends with a space, or leaves the root."""
    first, last = text[starts], text[path_ends - 1]
    return not ((first == SPACE) | (last == SPACE) | ((first == SLASH) & (not outside_root))).any()
