"""Frames of a packed file: the bytes that lay in folders, in one LMDB file per split."""

from collections.abc import Sequence
from pathlib import Path

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.memcached import Memcached
from datasets.frame_sources.pictures import Picture, PictureSource
from datasets.packed_file import PackedFile, read_record


class PackedStore:
    """The pictures of a packed file; see `PictureStore`. Raises `BrokenVideo` where it is none of `modality`."""

    def __init__(self, *, file: Path, modality: str) -> None:
        self._packed = PackedFile(file)
        about = self._packed.about
        if about["modality"] != modality:
            raise BrokenVideo(f"{file}: holds {about['modality']}, needs {modality}: pack that into a file of its own")
        self.identity = f"packed {about['identity']}"

    def num_frames(self, video: str) -> int:
        """See `PictureStore`."""
        with self._packed.begin() as transaction:
            record = read_record(transaction, video)
        if record is None:
            raise BrokenVideo(f"{self._packed.file}: holds no video {video}")
        return record.num_frames

    def fetch(self, video: str, pictures: Sequence[Picture]) -> list[bytes]:
        """See `PictureStore`."""
        return self._packed.pictures(video, [(picture.frame, picture.axis) for picture in pictures])

    def place(self, video: str, picture: Picture) -> Path:
        """The packed file, and the name that `dump_frames` gives the picture."""
        prefix = f"flow_{picture.axis}" if picture.axis else "img"
        return self._packed.file / video / f"{prefix}_{picture.frame + 1:05d}.jpg"

    def describe(self) -> str:
        """See `PictureStore`."""
        return f"frames packed in {self._packed.file}"


class PackedSource(PictureSource):
    """Frames of the videos in the packed file `file`."""

    def __init__(self, *, file: Path, modality: str = "RGB", cache: Memcached | None = None) -> None:
        super().__init__(store=PackedStore(file=file, modality=modality), modality=modality, cache=cache)
        self.file = file
