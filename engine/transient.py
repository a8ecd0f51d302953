"""Faults of a file system that pass by themselves (a server that was away, a stale handle): tried again, later."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from engine.log import LOGGER

T = TypeVar("T")
TRANSIENT = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN, errno.EREMOTEIO})
WAITS = (0.25, 1.0, 3.0)  # seconds before the second, third and fourth attempt


def os_error_of(error: BaseException | None) -> OSError | None:
    """The operating system's error behind `error`; torch and zipfile raise one of their own over it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error
        error = error.__cause__ or error.__context__
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same call may well succeed a little later."""
    found = os_error_of(error)
    return found is not None and found.errno in TRANSIENT


def retried(action: Callable[[], T], path: Path) -> T:
    """What `action`, which can be done over, returns; done again after each of WAITS while `path` fails in passing."""
    for wait in WAITS:
        try:
            return action()
        except Exception as error:
            if not is_transient(error):
                raise
            LOGGER.warning("%s: %s; trying again in %g s", path, reason_of(error), wait)
        time.sleep(wait)
    return action()


def reason_of(error: BaseException) -> str:
    """In the operating system's words, where it was the one to refuse: "No space left on device"."""
    found = os_error_of(error)
    if found is not None and found.errno is not None:
        return os.strerror(found.errno)
    return next(iter(str(error).splitlines()), type(error).__name__)
