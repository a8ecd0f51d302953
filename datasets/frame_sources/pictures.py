"""Frames that are stored as pictures, wherever their bytes lie: fetched, then decoded, alike for every store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from datasets.broken_video import BrokenVideo
from datasets.frame_sources.jpeg import check_ends, decode_grey, decode_rgb, size_of
from datasets.frame_sources.memcached import Memcached
from datasets.frame_sources.protocol import Part
from utils.transforms import CropBox

AXES = {"RGB": ("",), "Flow": ("x", "y")}  # the pictures that make a frame


class Picture(NamedTuple):
    """Frame `frame` of a video, counted from 0; `axis` "x" or "y" of flow, "" of RGB."""

    frame: int
    axis: str


class PictureStore(Protocol):
    """Where the bytes of pictures lie. All methods but `describe` raise `BrokenVideo`.

    `identity` differs between stores whose pictures may differ: memcached servers may be shared by many.
    """

    identity: str

    def num_frames(self, video: str) -> int:
        """How many frames the video has."""

    def fetch(self, video: str, pictures: Sequence[Picture]) -> list[bytes]:
        """The bytes of each picture."""

    def place(self, video: str, picture: Picture) -> Path:
        """The picture's file, or what stands for it in a message."""

    def describe(self) -> str:
        """A line for the log."""


class Place(NamedTuple):
    """Says in a message where a picture lies; a path is made only when there is something to say."""

    store: PictureStore
    video: str
    picture: Picture

    def __str__(self) -> str:
        return str(self.store.place(self.video, self.picture))


class PictureSource:
    """A `FrameSource` of a store of pictures. `modality` "Flow": frames of two channels (x, y), out of two pictures.

    With `cache`, bytes come from memcached servers where these have them; from the store, and then to the servers,
    where they don't.
    """

    def __init__(self, *, store: PictureStore, modality: str = "RGB", cache: Memcached | None = None) -> None:
        self.store = store
        self.modality = modality
        self.cache = cache

    def num_frames(self, video: str) -> int:
        """See `FrameSource`."""
        return self.store.num_frames(video)

    def read(self, video: str, indices: np.ndarray) -> list[torch.Tensor]:
        """See `FrameSource`; a frame that is asked for twice is decoded once."""
        axes = AXES[self.modality]
        unique = list(dict.fromkeys(int(index) for index in indices))
        pictures = [Picture(index, axis) for index in unique for axis in axes]
        data = self.fetch(video, pictures)
        decoded = [self._decode(video, picture, each) for picture, each in zip(pictures, data)]
        if len(axes) > 1:
            decoded = [self._joined(video, unique[n], decoded[2 * n : 2 * n + 2]) for n in range(len(unique))]
        frames = dict(zip(unique, decoded))
        self._check_sizes(video, pictures, {tuple(frame.shape) for frame in decoded})
        return [frames[int(index)] for index in indices]

    def read_part(self, video: str, indices: np.ndarray, part: Part) -> torch.Tensor:
        """See `FrameSource`; a frame that is asked for twice is decoded once."""
        axes = AXES[self.modality]
        unique, places = np.unique(indices, return_inverse=True)
        pictures = [Picture(int(index), axis) for index in unique for axis in axes]
        data = self.fetch(video, pictures)
        sizes = {size_of(each, Place(self.store, video, picture)) for picture, each in zip(pictures, data)}
        self._check_sizes(video, pictures, sizes)
        box = part(*sizes.pop())
        clip = np.empty((len(unique), len(axes), box.height, box.width, 3 if len(axes) == 1 else 1), dtype=np.uint8)
        for number, (picture, each) in enumerate(zip(pictures, data)):
            clip[divmod(number, len(axes))] = self._decode(video, picture, each, box)
        joined = clip[:, 0] if len(axes) == 1 else np.concatenate([clip[:, 0], clip[:, 1]], axis=3)
        return torch.from_numpy(joined if np.array_equal(unique, indices) else joined[places])

    def read_encoded(self, video: str, indices: np.ndarray, part: Part) -> tuple[list[bytes], CropBox]:
        """The files of RGB frames `indices`, and the box that `part` gives; each is a JPEG that has an end."""
        unique, places = np.unique(indices, return_inverse=True)
        pictures = [Picture(int(index), "") for index in unique]
        data = self.fetch(video, pictures)
        for picture, each in zip(pictures, data):
            check_ends(each, Place(self.store, video, picture))
        sizes = {size_of(each, Place(self.store, video, picture)) for picture, each in zip(pictures, data)}
        self._check_sizes(video, pictures, sizes)
        return [data[place] for place in places], part(*sizes.pop())

    def _check_sizes(self, video: str, pictures: list[Picture], sizes: set[Any]) -> None:
        if len(sizes) > 1:
            folder = self.store.place(video, pictures[0]).parent
            raise BrokenVideo(f"{folder}: frames of different sizes {sorted(sizes)}")

    def fetch(self, video: str, pictures: list[Picture]) -> list[bytes]:
        """The bytes of pictures: from the servers of the cache, or from the store."""
        if self.cache is None:
            return self.store.fetch(video, pictures)
        names = [f"{self.store.identity}\0{self.store.place(video, picture)}" for picture in pictures]
        return self.cache.through(
            video, names, lambda missing: self.store.fetch(video, [pictures[place] for place in missing])
        )

    def _decode(self, video: str, picture: Picture, data: bytes, box: CropBox | None = None) -> torch.Tensor:
        decode = decode_grey if picture.axis else decode_rgb
        return decode(data, Place(self.store, video, picture), box)

    def _joined(self, video: str, index: int, axes: list[torch.Tensor]) -> torch.Tensor:
        x, y = axes
        if x.shape != y.shape:
            paths = [self.store.place(video, Picture(index, axis)) for axis in ("x", "y")]
            raise BrokenVideo(f"{paths[0]}: {tuple(x.shape)} pixels, {paths[1].name} has {tuple(y.shape)}")
        return torch.cat([x, y], dim=2)

    def describe(self) -> str:
        """See `FrameSource`."""
        return self.store.describe() + (f"; {self.cache.describe()}" if self.cache else "")
