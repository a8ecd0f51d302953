"""Start a loader's workers, or say which limit of the machine stands in the way."""

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import Any

from torch.utils.data import DataLoader

from utils.errors import UserError

OTHER_FILES = 10  # that a run opens beside its loaders': checkpoints, frames, connections


def start_workers(loader: DataLoader[Any]) -> tuple[Iterator[Any], list[BaseProcess]]:
    """The loader's iterator and its worker processes; raises `UserError` where they can't be started."""
    before = set(multiprocessing.active_children())
    check_open_files(loader.num_workers, loaders=1 if before else 2)
    with _sigchld_as_it_was():
        try:
            items = iter(loader)
        except (OSError, RuntimeError) as error:
            for child in set(multiprocessing.active_children()) - before:
                child.kill()
            raise UserError(
                f"{loader.num_workers} loader workers can't be started ({error}): lower common.workers, or raise the "
                "limits on processes and threads (ulimit -u, the container's or job's pids), memory and open files"
            ) from error
    return items, [child for child in multiprocessing.active_children() if child not in before]


def check_open_files(workers: int, *, loaders: int) -> None:
    """Refuse now what would fail at the first evaluation: it reads while the training's loader waits.

    A loader of `workers` takes four open files for each, and four. Where the limit may be raised, it is.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = len(os.listdir("/proc/self/fd")) + loaders * (4 * workers + 4) + OTHER_FILES
    if workers == 0 or needed <= limit:
        return
    if needed <= most or most == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * needed, most) if most > 0 else 2 * needed, most))
        return
    raise UserError(
        f"got a limit of {most} open files (ulimit -n), needs {needed} with common.workers {workers}: "
        "raise it (ulimit -n 4096), or lower common.workers"
    )


@contextlib.contextmanager
def _sigchld_as_it_was() -> Iterator[None]:
    """PyTorch's handler raises wherever this process happens to be, in the midst of a save too: take it away."""
    handler = signal.getsignal(signal.SIGCHLD)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, handler)
