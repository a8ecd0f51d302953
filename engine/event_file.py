"""TensorBoard's event file, one per start of a run: whole records or none, so that a full disk spoils nothing.

torch's SummaryWriter hands records to a thread that ends at the first write that fails, and a flush may then wait for
it for ever.
"""

import io
import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from engine.appended_file import AppendedFile

_numbers = itertools.count()


class EventFile:
    """Appends summaries to a new file in `folder`; readers drop what older files hold from `purge_step` on."""

    def __init__(self, folder: Path, *, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # Readers take files in the order of their names.
        start = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._file = AppendedFile(folder / f"events.out.tfevents.{start}")
        self._add(file_version="brain.Event:2")
        self._add(step=purge_step, session_log=SessionLog(status=SessionLog.START))

    def add(self, summary: Summary, step: int) -> None:
        """Append `summary` at `step`."""
        self._add(summary=summary, step=step)

    def _add(self, **content: Any) -> None:
        record = io.BytesIO()
        RecordWriter(record).write(Event(wall_time=time.time(), **content).SerializeToString())
        self._file.append(record.getvalue())

    def close(self) -> None:
        """No more is added."""
        self._file.close()
