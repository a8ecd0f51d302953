"""Checkpoints written while training goes on: the state is copied, then a thread brings the copy to disk."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from engine.checkpoint import save_checkpoint
from engine.host_copy import HostCopy
from engine.log import LOGGER
from utils.errors import UserError


class CheckpointWriter:
    """Writes a run's checkpoints one at a time and in order; a second save waits until the first is on disk.

    So one copy of the state in CPU memory is all it takes. A save counts once log.txt says that it was written.
    `extra` goes into every checkpoint, `keep` of them stay; without `background` a save is over when `start` returns.
    Nothing here talks to other ranks: `engine.saving` does. Leaving the context waits for the save in flight.
    """

    def __init__(self, folder: Path, *, extra: dict[str, Any], keep: int, background: bool) -> None:
        self._folder = folder
        self._extra = extra
        self._keep = keep
        self._background = background
        self._copy = HostCopy()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    @property
    def has_failed(self) -> bool:
        """Whether a save has failed that `wait` has not told of yet; asked without waiting."""
        return self._error is not None

    def start(self, state: dict[str, Any], *, best: bool) -> None:
        """Save `state`, as the best one too with `best`; on return the caller may change its tensors."""
        self._join()
        assert self._error is None, "a save failed and nobody asked: wait() comes before the next start()"
        whole = {**self._extra, **state}
        if not self._background:
            self._write(whole, best)
            return
        arguments = (self._copy.of(whole), best)
        self._thread = threading.Thread(target=self._write, args=arguments, name="checkpoint writer")
        self._thread.start()

    def _write(self, state: dict[str, Any], best: bool) -> None:
        started = time.monotonic()
        try:
            save_checkpoint(self._folder, state, best=best, keep=self._keep)
        except Exception as error:  # raised by whoever waits
            self._error = error
            return
        seconds = time.monotonic() - started
        LOGGER.info("checkpoint of iteration %d written%s: %.1f s", state["iteration"], ", the best" * best, seconds)

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wait(self) -> tuple[str, ...]:
        """Wait until nothing is in flight; the lines of a save that failed, told once. Raises what is a bug of ours."""
        self._join()
        error, self._error = self._error, None
        if error is None:
            return ()
        if isinstance(error, UserError):
            return error.lines
        raise error

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._join()
        if self._error is not None:  # another error is on its way out
            LOGGER.error("the last save failed too: %s", self._error)
