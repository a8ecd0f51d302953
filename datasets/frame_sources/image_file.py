"""A list of image files: each line's path is a picture, a video of one frame."""

from collections.abc import Sequence
from pathlib import Path

from datasets.frame_sources.memcached import Memcached
from datasets.frame_sources.pictures import Picture, PictureSource
from datasets.frame_sources.root import Root


class ImageFileStore:
    """The files `root/<path>`; see `PictureStore`."""

    def __init__(self, *, root: Root) -> None:
        self._root = root
        self.identity = f"images {root.folder.resolve()}"

    def num_frames(self, video: str) -> int:
        """1."""
        return 1

    def fetch(self, video: str, pictures: Sequence[Picture]) -> list[bytes]:
        """See `PictureStore`."""
        return [self._root.read_bytes(self._root.path(video))] * len(pictures)

    def place(self, video: str, picture: Picture) -> Path:
        """See `PictureStore`."""
        return self._root.folder / video

    def describe(self) -> str:
        """See `PictureStore`."""
        return f"image files below {self._root.folder}"


class ImageFileSource(PictureSource):
    """Pictures `root/<path>`."""

    def __init__(self, *, root: Path, outside_root: bool = False, cache: Memcached | None = None) -> None:
        super().__init__(store=ImageFileStore(root=Root(root, outside_root=outside_root)), cache=cache)
        self.root = root
