"""A folder of numbered JPEGs per video."""

from collections.abc import Sequence
from pathlib import Path

from datasets.frame_names import DUMPED, FrameNames, find_frame_names
from datasets.frame_sources.memcached import Memcached
from datasets.frame_sources.pictures import Picture, PictureSource
from datasets.frame_sources.root import Root


class FolderStore:
    """The files `root/<video>/img_00001.jpg` and the like; see `PictureStore` and `FolderSource`."""

    def __init__(self, *, root: Root, names: FrameNames | None, modality: str) -> None:
        self._root = root
        self._names = names
        self._modality = modality
        self.identity = _identity(root.folder)

    def names(self, video: str) -> FrameNames:
        """How frames are called, found out from `video` where it isn't known yet."""
        if self._names is None:
            self._names = find_frame_names(self._root.path(video), modality=self._modality)
        return self._names

    def num_frames(self, video: str) -> int:
        """Counts numbered files, without looking at gaps."""
        return self.names(video).count(self._root.path(video))

    def fetch(self, video: str, pictures: Sequence[Picture]) -> list[bytes]:
        """See `PictureStore`."""
        folder, names = self._root.path(video), self.names(video)
        return [self._root.read_bytes(f"{folder}/{names.file(index, axis=axis)}") for index, axis in pictures]

    def place(self, video: str, picture: Picture) -> Path:
        """See `PictureStore`."""
        return self._root.folder / video / self.names(video).file(picture.frame, axis=picture.axis)

    def describe(self) -> str:
        """See `PictureStore`."""
        names = f"{self._names.template}, counted from {self._names.first}" if self._names else "names not known yet"
        return f"frames {self._root.folder}/<video>/{names}"


def _identity(root: Path) -> str:
    """Where the frames lie, and when they were last dumped."""
    try:
        dumped = str((root / DUMPED).stat().st_mtime_ns)
    except OSError:
        dumped = "never"
    return f"folder {root.resolve()} {dumped}"


class FolderSource(PictureSource):
    """Frames of `root/<video>/img_00001.jpg` and the like.

    `names` says how files are called; None: read off the first folder that is asked for. `modality` "Flow" reads the
    pairs flow_x_00001.jpg, flow_y_00001.jpg and gives frames of two channels (x, y).
    """

    store: FolderStore

    def __init__(
        self,
        *,
        root: Path,
        names: FrameNames | None = None,
        modality: str = "RGB",
        outside_root: bool = False,
        cache: Memcached | None = None,
    ) -> None:
        store = FolderStore(root=Root(root, outside_root=outside_root), names=names, modality=modality)
        super().__init__(store=store, modality=modality, cache=cache)
        self.root = root
