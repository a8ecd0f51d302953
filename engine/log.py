"""log.txt and TensorBoard: one writer, whole lines, appended to; other ranks stay silent below a warning."""

import logging
import os
import sys
from collections.abc import Iterable
from logging.handlers import MemoryHandler
from pathlib import Path
from types import TracebackType

import torch
from torch.utils.tensorboard.summary import image, scalar

from engine.appended_file import AppendedFile, warn
from engine.event_file import EventFile

LOGGER = logging.getLogger("video_analysis")
KEPT_LINES = 1000
_FORMAT = logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")


class Console(logging.StreamHandler):
    """stdout; where it can't be written (its disk is full, its reader gone) log.txt alone goes on."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say so once, and send what comes to nowhere: else every line, and Python's own end, would fail again."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        warn("stdout", error)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)


class LogFile(logging.Handler):
    """log.txt: whole lines, and a line that tells how many are missing where the disk was full for a while."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = AppendedFile(path)
        if _ends_torn(path):
            self._file.append(b"\n")
        self.setFormatter(_FORMAT)

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line."""
        missing = self._file.left_out
        text = f"({missing} lines could not be written)\n" * bool(missing) + self.format(record) + "\n"
        if self._file.append(text.encode("utf-8", errors="backslashreplace")):
            self._file.left_out = 0

    def close(self) -> None:
        """No more lines."""
        self._file.close()
        super().close()


def open_log(log_file: Path | None, *, rank: int) -> None:
    """Send the project's log lines to stdout and, on rank 0, to `log_file` (appended to).

    None: no file yet. Lines said meanwhile are kept, and written once a later call names the file.
    """
    kept = [record for held in LOGGER.handlers if isinstance(held, MemoryHandler) for record in held.buffer]
    for handler in list(LOGGER.handlers):
        LOGGER.removeHandler(handler)
        handler.close()
    LOGGER.propagate = False
    LOGGER.setLevel(logging.INFO if rank == 0 else logging.WARNING)
    handlers: list[logging.Handler] = [Console()]
    if rank == 0:
        handlers.append(MemoryHandler(KEPT_LINES, flushOnClose=False) if log_file is None else LogFile(log_file))
    for handler in handlers:
        handler.setFormatter(_FORMAT)
        LOGGER.addHandler(handler)
    for record in kept if log_file is not None and rank == 0 else ():
        handlers[-1].handle(record)


def log_failure(lines: Iterable[str], *, log_file: Path | None = None) -> None:
    """Say in log.txt, where one is open, why the run ended; the command prints the same lines on stderr.

    `log_file`: open this one for it, where the rank that writes it is gone.
    """
    handlers = [handler for handler in LOGGER.handlers if isinstance(handler, LogFile)]
    if not handlers and log_file is not None and log_file.is_file():
        handlers = [LogFile(log_file)]
    for handler in handlers:
        for line in lines:
            handler.handle(logging.LogRecord(LOGGER.name, logging.ERROR, "", 0, "error: %s", (line,), None))


def _ends_torn(log_file: Path) -> bool:
    """A run that was killed may have left half a line: it is ended, so that the next one is whole."""
    with log_file.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return size > 0 and file.read(1) != b"\n"


class Events:
    """TensorBoard curves of one start of a run; a null object where `folder` is None (other ranks, --evaluate).

    `start_iteration` purges what an earlier start wrote at or behind that step, so that no step is there twice.
    """

    def __init__(self, folder: Path | None, *, start_iteration: int = 0) -> None:
        # Steps count finished iterations, so the first step that this start writes is the next one.
        self._file = None if folder is None else EventFile(folder, purge_step=start_iteration + 1)

    def __enter__(self) -> "Events":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def scalars(self, values: dict[str, float], iteration: int) -> None:
        """Write named values at `iteration` (number of finished iterations)."""
        if self._file is None:
            return
        for name, value in values.items():
            self._file.add(scalar(name, value), iteration)

    def clips(self, name: str, clips: torch.Tensor, iteration: int) -> None:
        """Write a picture of float clips (B, T, C, H, W), a row each, stretched to the range of what is in them."""
        if self._file is None:
            return
        frames = clips[:, :, :3].float().cpu()
        if frames.shape[2] == 2:
            frames = torch.cat([frames, frames.mean(dim=2, keepdim=True)], dim=2)
        low, high = frames.amin(), frames.amax()
        picture = (frames - low) / (high - low).clamp(min=1e-6)
        rows = picture.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)  # C, B*H, T*W
        self._file.add(image(name, rows, dataformats="CHW"), iteration)
