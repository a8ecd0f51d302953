"""A file that pieces are appended to, whole or not at all: a full disk costs the piece, never the run or the file."""

import contextlib
import os
import sys
from pathlib import Path


def warn(name: str, error: OSError) -> None:
    """Say on stderr, which may be on the full disk too, that `name` lacks lines from here on."""
    with contextlib.suppress(OSError):
        line = f"warning: {name}: can't be written ({error.strerror}); the run goes on, what does not fit is left out"
        print(line, file=sys.stderr, flush=True)


class AppendedFile:
    """Appends to `path` through no buffer; one writer. The first piece that is left out is a warning on stderr."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        self._warned = False
        self.left_out = 0

    def append(self, piece: bytes) -> bool:
        """Whether `piece` is in the file; where it did not fit, `left_out` counts one more."""
        try:
            self._append(piece)
        except OSError as error:
            if not self._warned:
                warn(str(self._path), error)
            self._warned = True
            self.left_out += 1
            return False
        return True

    def _append(self, piece: bytes) -> None:
        before = os.fstat(self._descriptor).st_size
        written = 0
        try:
            while written < len(piece):
                written += os.write(self._descriptor, piece[written:])
        except OSError:
            if written:
                os.ftruncate(self._descriptor, before)
            raise

    def close(self) -> None:
        """No more is appended; twice is once."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)
