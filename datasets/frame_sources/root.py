"""The folder that the paths of a list start from, and which must not be left."""

import errno
import io
import os
from pathlib import Path, PurePosixPath

from datasets.broken_video import BrokenVideo
from datasets.worker_notes import note_file


class Root:
    """`folder`, with a check that paths below it stay there, symbolic links followed.

    `outside_root=True` allows them to lead anywhere, and absolute paths too.
    """

    def __init__(self, folder: Path, *, outside_root: bool = False) -> None:
        self.folder = folder
        self._outside_root = outside_root
        self._real = os.path.realpath(folder)

    def path(self, video: str) -> Path:
        """Where `video` lies; raises `BrokenVideo` where that is outside the root."""
        path = self.folder / video
        if not self._outside_root and self._may_lead_out(video):
            self._check(path)
        return path

    def read_bytes(self, path: Path | str) -> bytes:
        """A file at or in what `path()` gave; a link is followed where it stays below the root.

        Raises `BrokenVideo` where the file is missing, can't be read or lies outside.
        """
        note_file(path)
        try:
            return _read(path, follow=self._outside_root)
        except ValueError as error:  # a NUL byte
            raise BrokenVideo(f"{path}: {error}") from error
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise BrokenVideo(f"{path}: {error.strerror}") from error
        self._check(path)
        try:
            return _read(path, follow=True)
        except OSError as error:
            raise BrokenVideo(f"{path}: {error.strerror}") from error

    def _may_lead_out(self, video: str) -> bool:
        parts = PurePosixPath(video).parts
        if ".." in parts or video.startswith("/"):
            return True
        path = str(self.folder)
        for part in parts:  # a look at each is cheaper than to resolve the whole
            path = f"{path}/{part}"
            if os.path.islink(path):
                return True
        return False

    def _check(self, path: Path | str) -> None:
        real = os.path.realpath(path)
        if os.path.commonpath([real, self._real]) != self._real:
            raise BrokenVideo(
                f"{path}: leads to {real}, outside the root {self._real}; move it, or set common.source.outside_root"
            )


def _read(path: Path | str, *, follow: bool) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    with io.FileIO(descriptor) as file:
        return file.readall()
