"""One training per experiment folder: a lock that names its holder and that a dead holder's successor takes over."""

import contextlib
import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from utils.errors import UserError

LOCK = ".lock"


def _owner() -> str:
    return f"host {socket.gethostname()} pid {os.getpid()} job {os.environ.get('SLURM_JOB_ID', '-')}"


def _runs(job: str) -> bool:
    """Whether Slurm has this job running; False where it doesn't know it."""
    try:
        asked = subprocess.run(["squeue", "-h", "-j", job, "-o", "%t"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return True  # nobody to ask: be careful
    return asked.stdout.strip() in ("R", "CG", "CF", "S", "ST")


def _may_live_elsewhere(holder: str) -> bool:
    """Whether the holder may run on another host, where a lock of this file system need not be seen.

    This host's processes are known by the lock itself; a job's earlier start has ended once it has been requeued.
    """
    words = holder.split()
    if len(words) != 6 or words[1] == socket.gethostname():
        return False
    job = words[5]
    if job == "-":
        return True
    return job != os.environ.get("SLURM_JOB_ID") and _runs(job)


def _open_locked(path: Path) -> int | None:
    """A descriptor of the locked file, or None where a living process holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            # A record lock: the loader's workers don't inherit it, so it ends with this process alone.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                return descriptor
        os.close(descriptor)  # its holder removed it meanwhile


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[str | None]:
    """Hold `folder`'s lock; gives the line to log where it is a dead holder's that was taken over.

    Raises `UserError` where another run holds it, or where its folder can't be written to.
    """
    path = folder / LOCK
    try:
        descriptor = _open_locked(path)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written to ({error.strerror}); a run needs a folder of its own: "
            "copy the experiment's folder to where you may write"
        ) from error
    holder = path.read_text(encoding="utf-8").strip() if descriptor is None else os.read(descriptor, 1000).decode()
    if descriptor is None or _may_live_elsewhere(holder):
        if descriptor is not None:
            os.close(descriptor)
        raise UserError(
            f"{folder}: another run is training in it ({holder or 'it is just starting'}); wait for its end, or stop "
            f"it, or copy config.yaml into a folder of its own (if that run has died on its host, remove {path})"
        )
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, _owner().encode(), 0)
    try:
        yield f"took over the folder's lock of a run that has died ({holder})" if holder else None
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)
