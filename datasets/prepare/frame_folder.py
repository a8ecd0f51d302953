"""A video's folder of frames: whole and marked, or not there at all.

Frames are written to a private folder below FRAMES/.dumping and renamed into place when they are complete, so a job
that is killed leaves nothing that could pass for a dumped video. A lock on the private folder tells the living
from the dead: the system lets go of it when the process ends. Locks need not be seen by other machines, so the
folders of those count as abandoned after a day only.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARKER = ".dump.json"
PRIVATE = ".dumping"
YOUNG_SECONDS = 60.0
OLD_SECONDS = 24 * 3600.0


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What `dump_frames` noted in a finished folder (video, bytes, mtime_ns, options, num_frames, num_flows,
    truncated), or None where it has made none."""
    try:
        marker = json.loads((folder / MARKER).read_bytes())
    except (OSError, ValueError):
        return None
    return marker if isinstance(marker, dict) and isinstance(marker.get("num_frames"), int) else None


def write_marker(folder: Path, marker: dict[str, Any]) -> None:
    """Write the note that `read_marker` reads."""
    (folder / MARKER).write_text(json.dumps(marker, indent=1) + "\n")


@contextlib.contextmanager
def private_folder(frames: Path) -> Iterator[Path]:
    """A new empty folder on the file system of `frames`, locked and removed afterwards."""
    (frames / PRIVATE).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=frames / PRIVATE, prefix=f"{socket.gethostname()}."))
    try:
        with (folder / "lock").open("w") as lock:
            with contextlib.suppress(OSError):  # a file system without locks: nobody clears it up, nothing worse
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_leftovers(frames: Path) -> int:
    """Remove the private folders of processes that ended without doing so themselves; returns how many."""
    cleared = 0
    place = frames / PRIVATE
    for folder in list(place.iterdir()) if place.is_dir() else []:
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            cleared += 1
    with contextlib.suppress(OSError):  # still in use by another job
        place.rmdir()
    return cleared


def _is_abandoned(folder: Path) -> bool:
    if not folder.name.startswith(f"{socket.gethostname()}."):
        with contextlib.suppress(OSError):
            return time.time() - folder.stat().st_mtime > OLD_SECONDS
        return False
    try:
        with (folder / "lock").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:  # between its mkdir and its lock, unless that is long ago
        with contextlib.suppress(OSError):
            return time.time() - folder.stat().st_mtime > YOUNG_SECONDS
        return False
    except OSError:
        return False


def put_in_place(made: Path, folder: Path, *, discard: Path) -> None:
    """Rename the finished `made` to `folder`; an older one that stands there moves to `discard`.

    Where another job was quicker its folder stays, and ours is left where it is.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    if read_marker(folder) is not None:
        with contextlib.suppress(FileNotFoundError):
            os.rename(folder, discard)
    try:
        os.rename(made, folder)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or read_marker(folder) is None:
            raise
