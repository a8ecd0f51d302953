"""A loader's worker that dies, or stands still, ends the run with one line that names it and the file it was at."""

import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from datasets.worker_notes import Note, WorkerNotes
from datasets.worker_start import start_workers
from utils.errors import UserError

POLL_SECONDS = 1.0  # a loader's `timeout`: how often the workers are looked at while nothing comes from them
_NOTHING_CAME = f"DataLoader timed out after {POLL_SECONDS} seconds"
_GO_ON = "start again to go on from the last checkpoint"
_STATES = {"T": "is stopped (SIGSTOP)", "D": "waits for a disk"}
_ADVICE = {
    "SIGKILL": "out of memory? then lower common.workers or common.batch_size",
    "SIGBUS": "a file was cut short under its reader, or there is no memory left",
}


class WorkerWatch:
    """Items of `loader`, whose workers keep `notes`.

    `where(index)` says which list line a video is of. A worker that has ended, or is where it was `patience` seconds
    ago while nothing comes from any, is a `UserError`; the workers are killed then, so that nobody waits for them.
    """

    def __init__(
        self, loader: DataLoader[Any], *, notes: WorkerNotes, where: Callable[[int], str], patience: float
    ) -> None:
        self._notes = notes
        self._where = where
        self._patience = patience
        self._items, self._workers = start_workers(loader)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._check_all_alive()
        seen, since = b"", time.monotonic()
        while True:
            try:
                return next(self._items)
            except RuntimeError as error:
                self._check_all_alive()
                if str(error) != _NOTHING_CAME:
                    raise
            content = self._notes.content()
            if content != seen:
                seen, since = content, time.monotonic()
            elif time.monotonic() - since > self._patience:
                self._refuse(self._stuck())

    def _check_all_alive(self) -> None:
        lost = next((worker for worker in self._workers if worker.exitcode is not None), None)
        if lost is not None:
            notes = {note.pid: note for note in self._notes.notes()}
            self._refuse(self._lost(lost, notes.get(lost.pid or 0)))

    def _refuse(self, line: str) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.join(POLL_SECONDS)
        raise UserError(line)

    def _lost(self, worker: BaseProcess, note: Note | None) -> str:
        return f"loader worker pid {worker.pid} {_ending(worker.exitcode or 0)}, {self._at(note)}; {_GO_ON}"

    def _stuck(self) -> str:
        notes = self._notes.notes()
        stopped = [note for note in notes if _state(note.pid) == "T"]
        busy = [note for note in notes if note.video_index is not None]
        suspects = stopped or busy or notes
        note = suspects[0] if suspects else None
        others = f" (and {len(suspects) - 1} more like it)" if len(suspects) > 1 else ""
        return (
            f"loader worker pid {note.pid if note else '?'}{others} "
            f"{_STATES.get(_state(note.pid) if note else '', 'is stuck')}: {self._at(note)}, and no batch came for "
            f"{self._patience:.0f} s (half of common.timeout); see whether that file can be read, or raise timeout; "
            f"{_GO_ON}"
        )

    def _at(self, note: Note | None) -> str:
        if note is None or note.video_index is None:
            return "between two videos"
        where = self._where(note.video_index)
        return f"at {note.file} ({where})" if note.file else f"at {where}"


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended by itself with status {status}"
    name = next((number.name for number in signal.Signals if number == -status), f"signal {-status}")
    return f"was killed by {name}" + (f" ({_ADVICE[name]})" if name in _ADVICE else "")


def _state(pid: int) -> str:
    """The letter that /proc has for what a process does; "" where it has none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(") ", 1)[1][0]
    except OSError:
        return ""
