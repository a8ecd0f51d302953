"""One LMDB file with the pictures of many videos, as `pack_frames` writes it.

| key | value |
|---|---|
| `about` | JSON: format, identity, modality, complete |
| video (16 bytes, a hash of its path) | JSON: path, num_frames, mtime_ns of its folder |
| video + axis (1 byte) + frame (4 bytes, big-endian) | CRC-32 (4 bytes) + the picture's bytes |

A packed file is read without locks, so it may lie on a read-only file system; nobody writes to a complete one.
"""

import functools
import hashlib
import json
import os
import struct
import threading
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from datasets.broken_video import BrokenVideo
from datasets.worker_notes import note_file

FORMAT = 1
ABOUT = b"about"
VIDEO_BYTES = 16
CRC = struct.Struct(">I")
FRAME = struct.Struct(">cI")


class PackedVideo(NamedTuple):
    """A video's record; `mtime_ns` is that of its folder when it was packed."""

    path: str
    num_frames: int
    mtime_ns: int


def video_key(video: str) -> bytes:
    """Where a video's record lies; its pictures follow it."""
    return hashlib.blake2b(video.encode(), digest_size=VIDEO_BYTES).digest()


def picture_key(key: bytes, frame: int, axis: str) -> bytes:
    """Where a picture of the video under `key` lies."""
    return key + FRAME.pack(axis.encode() or b" ", frame)


def sealed(data: bytes) -> bytes:
    """A picture's bytes with their checksum in front."""
    return CRC.pack(zlib.crc32(data)) + data


def unsealed(value: bytes) -> bytes | None:
    """The picture's bytes, None where they aren't those that were packed."""
    data = value[CRC.size :]
    return data if value[: CRC.size] == CRC.pack(zlib.crc32(data)) else None


class _Open(NamedTuple):
    process: int
    environment: lmdb.Environment


_OPEN: dict[str, _Open] = {}  # LMDB refuses to open a file twice in a process
_OPENING = threading.Lock()


def _environment(file: Path) -> lmdb.Environment:
    """The file, open for reading in this process; raises `BrokenVideo`."""
    place = os.path.realpath(file)
    known = _OPEN.get(place)
    if known and known.process == os.getpid():
        return known.environment
    with _OPENING:
        known = _OPEN.pop(place, None)
        if known and known.process == os.getpid():
            _OPEN[place] = known
            return known.environment
        if known:
            known.environment.close()  # the parent's, which a fork brought along; the parent's own stays open
        _OPEN[place] = _Open(os.getpid(), _opened(file))
        return _OPEN[place].environment


def _opened(file: Path) -> lmdb.Environment:
    try:
        size = file.stat().st_size
        environment = lmdb.open(
            str(file), subdir=False, readonly=True, lock=False, create=False, readahead=False, max_spare_txns=4
        )
    except (OSError, lmdb.Error) as error:
        raise BrokenVideo(f"{file}: can't be opened as a packed file ({error})") from error
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < needed:  # reading behind the end would kill the process
        environment.close()
        raise BrokenVideo(f"{file}: {size:,} bytes, {needed:,} were written: the copy is not whole")
    return environment


def close_packed(file: Path) -> None:
    """Close the file in this process, where it is open."""
    known = _OPEN.pop(os.path.realpath(file), None)
    if known:
        known.environment.close()


def _get(transaction: lmdb.Transaction, key: bytes) -> bytes | None:
    value = transaction.get(key)
    return None if value is None else bytes(value)


def read_record(transaction: lmdb.Transaction, video: str) -> PackedVideo | None:
    """The record of a video, None where it isn't packed."""
    value = _get(transaction, video_key(video))
    record = PackedVideo(**json.loads(value)) if value else None
    return record if record and record.path == video else None


class PackedFile:
    """A packed file, opened when it is first read, anew in every process. Methods raise `BrokenVideo`."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @functools.cached_property
    def about(self) -> dict[str, Any]:
        """The entry `about`: format, identity, modality, complete."""
        with self.begin() as transaction:
            text = _get(transaction, ABOUT)
        try:
            about = json.loads(text or b"")
        except ValueError as error:
            raise BrokenVideo(f"{self.file}: not a file of pack_frames, it has no entry `about`") from error
        if about.get("format") != FORMAT:
            raise BrokenVideo(f"{self.file}: got format {about.get('format')}, needs {FORMAT}: pack it anew")
        if not about["complete"]:
            raise BrokenVideo(f"{self.file}: pack_frames has not finished it; run it again to go on")
        return dict(about)

    def begin(self) -> lmdb.Transaction:
        """A read transaction of this process."""
        note_file(self.file)
        return _environment(self.file).begin()

    def pictures(self, video: str, wanted: list[tuple[int, str]]) -> list[bytes]:
        """The bytes of pictures (frame, axis) of a video."""
        key, found = video_key(video), []
        with self.begin() as transaction:
            for frame, axis in wanted:
                value = _get(transaction, picture_key(key, frame, axis))
                data = unsealed(value) if value else None
                if data is None:
                    raise BrokenVideo(self._fault(transaction, video, frame, value))
                found.append(data)
        return found

    def _fault(self, transaction: lmdb.Transaction, video: str, frame: int, value: bytes | None) -> str:
        if value:
            return f"{self.file}: frame {frame} of {video} has a wrong checksum: the file is damaged, copy it again"
        record = read_record(transaction, video)
        if record is None:
            return f"{self.file}: holds no video {video}"
        return f"{self.file}: holds {record.num_frames} frames of {video}, number {frame} (from 0) is not among them"
