"""What each loader worker is reading, noted where the main process still sees it when the worker says nothing more."""

import mmap
import os
import struct
from typing import NamedTuple

_HEAD = struct.Struct("qq")  # process, place of the video in its list (-1: none)
_SLOT_BYTES = 4096


class Note(NamedTuple):
    """`video_index` is None between two items; `file`: the last one opened for this video, "" before the first."""

    pid: int
    video_index: int | None
    file: str


class WorkerNotes:
    """A slot per worker, in memory that is shared with the processes forked after this is made."""

    def __init__(self, *, workers: int) -> None:
        self.workers = workers
        self._memory = mmap.mmap(-1, max(1, workers) * _SLOT_BYTES)

    def begin(self, worker: int) -> None:
        """Called in worker number `worker`: from here on its notes go into its slot."""
        _MINE.memory, _MINE.start = self._memory, worker * _SLOT_BYTES
        note_video(None)

    def content(self) -> bytes:
        """All notes as bytes: they differ as long as somebody moves."""
        return self._memory[:]

    def notes(self) -> list[Note]:
        """What the workers noted last, those that have begun."""
        slots = [self._memory[n * _SLOT_BYTES : (n + 1) * _SLOT_BYTES] for n in range(self.workers)]
        return [note for note in map(_read, slots) if note.pid]


class _Mine:
    """Where this process notes what it reads; nowhere, unless it is a worker."""

    memory: mmap.mmap | None = None
    start = 0


_MINE = _Mine()


def note_video(index: int | None) -> None:
    """This worker turns to a video of its list (None: it is done); costs nothing elsewhere."""
    if _MINE.memory is not None:
        _HEAD.pack_into(_MINE.memory, _MINE.start, os.getpid(), -1 if index is None else index)
        _MINE.memory[_MINE.start + _HEAD.size] = 0


def note_file(path: str | os.PathLike[str]) -> None:
    """This worker is about to open a file."""
    if _MINE.memory is not None:
        name = os.fsencode(path)[: _SLOT_BYTES - _HEAD.size - 1] + b"\0"
        start = _MINE.start + _HEAD.size
        _MINE.memory[start : start + len(name)] = name


def _read(slot: bytes) -> Note:
    pid, index = _HEAD.unpack_from(slot)
    file = slot[_HEAD.size :].split(b"\0", 1)[0]
    return Note(pid, None if index < 0 else index, os.fsdecode(file))
