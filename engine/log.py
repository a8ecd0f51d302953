"""log.txt and TensorBoard: one writer, whole lines, appended to; other ranks stay silent below a warning."""

import logging
import sys
from collections.abc import Iterable
from logging.handlers import MemoryHandler
from pathlib import Path
from types import TracebackType

import torch
from torch.utils.tensorboard import SummaryWriter

LOGGER = logging.getLogger("video_analysis")
KEPT_LINES = 1000
_FORMAT = logging.Formatter("%(asctime)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S")


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
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    if rank == 0:
        handlers.append(MemoryHandler(KEPT_LINES, flushOnClose=False) if log_file is None else _appending(log_file))
    for handler in handlers:
        handler.setFormatter(_FORMAT)
        LOGGER.addHandler(handler)
    for record in kept if log_file is not None and rank == 0 else ():
        handlers[-1].handle(record)


def _appending(log_file: Path) -> logging.Handler:
    _end_torn_line(log_file)
    return logging.FileHandler(log_file, mode="a", encoding="utf-8")


def log_failure(lines: Iterable[str], *, log_file: Path | None = None) -> None:
    """Say in log.txt, where one is open, why the run ended; the command prints the same lines on stderr.

    `log_file`: open this one for it, where the rank that writes it is gone.
    """
    handlers = [handler for handler in LOGGER.handlers if isinstance(handler, logging.FileHandler)]
    if not handlers and log_file is not None and log_file.is_file():
        handlers = [logging.FileHandler(log_file, mode="a", encoding="utf-8")]
        handlers[0].setFormatter(_FORMAT)
        _end_torn_line(log_file)
    for handler in handlers:
        for line in lines:
            handler.handle(logging.LogRecord(LOGGER.name, logging.ERROR, "", 0, "error: %s", (line,), None))


def _end_torn_line(log_file: Path) -> None:
    """A run that was killed may have left half a line: end it, so that the next one is whole."""
    if not log_file.exists() or log_file.stat().st_size == 0:
        return
    with log_file.open("rb+") as file:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")


class Events:
    """TensorBoard curves of one start of a run; a null object where `folder` is None (other ranks, --evaluate).

    `start_iteration` purges what an earlier start wrote at or behind that step, so that no step is there twice.
    """

    def __init__(self, folder: Path | None, *, start_iteration: int = 0) -> None:
        self._writer = None
        if folder is not None:
            # Steps count finished iterations, so the first step that this start writes is the next one.
            self._writer = SummaryWriter(str(folder), purge_step=start_iteration + 1)

    def __enter__(self) -> "Events":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def scalars(self, values: dict[str, float], iteration: int) -> None:
        """Write named values at `iteration` (number of finished iterations)."""
        if self._writer is None:
            return
        for name, value in values.items():
            self._writer.add_scalar(name, value, iteration)

    def clips(self, name: str, clips: torch.Tensor, iteration: int) -> None:
        """Write a picture of float clips (B, T, C, H, W), a row each, stretched to the range of what is in them."""
        if self._writer is None:
            return
        frames = clips[:, :, :3].float().cpu()
        if frames.shape[2] == 2:
            frames = torch.cat([frames, frames.mean(dim=2, keepdim=True)], dim=2)
        low, high = frames.amin(), frames.amax()
        picture = (frames - low) / (high - low).clamp(min=1e-6)
        rows = picture.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)  # C, B*H, T*W
        self._writer.add_image(name, rows, iteration)

    def flush(self) -> None:
        """Bring what was written so far to the disk."""
        if self._writer is not None:
            self._writer.flush()
