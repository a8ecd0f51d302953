"""The finished part of an evaluation: kept on disk as it grows, so that a start after a kill goes on from it."""

import hashlib
import json
import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.distributed import World, gather_objects
from engine.log import LOGGER
from engine.view_scoring import VideoScores
from utils.errors import UserError

EVERY_SECONDS = 30.0


class ScoredVideo(NamedTuple):
    """`video_index` in the list, `label`, and what each protocol of the evaluation found."""

    video_index: int
    label: int
    results: tuple[VideoScores, ...]


class PartialScores:
    """Scores below `folder`, of the one evaluation that `fingerprint` describes (checkpoint, list, protocols ...).

    `found`: what earlier starts have scored, by index, the same on all ranks. A file is whole before it has its name,
    and what belongs to another evaluation is left alone.
    """

    def __init__(
        self, folder: Path, fingerprint: dict[str, Any], *, world: World, every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._text = json.dumps(fingerprint, sort_keys=True)
        self.folder = folder / hashlib.sha256(self._text.encode()).hexdigest()[:16]
        self._every_seconds = every_seconds
        self._kept, self._since = 0, time.monotonic()
        mine = self._load() if world.rank == 0 else {}
        (self.found, *_) = gather_objects(mine, world)
        if self.found:
            LOGGER.info("%d videos were scored by an earlier start; going on from there", len(self.found))

    def keep(self, done: list[ScoredVideo], *, rank: int, now: bool = False) -> None:
        """Write what came to `done` since the last call, if that is some time ago, or `now`."""
        if len(done) == self._kept or (not now and time.monotonic() - self._since < self._every_seconds):
            return
        new = done[self._kept :]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{new[0].video_index:08d}-{len(new)}-rank{rank}.npz"
            temporary = self.folder / f".{path.name}.{os.getpid()}.tmp"
            with temporary.open("wb") as file:
                arrays: dict[str, Any] = {"fingerprint": np.array(self._text), **_arrays(new)}
                np.savez(file, **arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise UserError(f"{self.folder}: partial scores can't be written ({error.strerror})") from error
        self._kept, self._since = len(done), time.monotonic()

    def remove(self) -> None:
        """The evaluation is complete and its scores are where they belong: forget the parts."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.folder.parent.is_dir() and not any(self.folder.parent.iterdir()):
            self.folder.parent.rmdir()

    def _load(self) -> dict[int, ScoredVideo]:
        found: dict[int, ScoredVideo] = {}
        for path in sorted(self.folder.glob("*.npz")):
            try:
                found |= self._read(path)
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                LOGGER.warning("%s: can't be read (%s); its videos are scored again", path, error)
        return found

    def _read(self, path: Path) -> dict[int, ScoredVideo]:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return _videos(arrays) if str(arrays["fingerprint"]) == self._text else {}


def _arrays(videos: list[ScoredVideo]) -> dict[str, np.ndarray]:
    arrays = {
        "indices": np.array([video.video_index for video in videos]),
        "labels": np.array([video.label for video in videos]),
    }
    for number, parts in enumerate(zip(*(video.results for video in videos))):
        for name, values in zip(VideoScores._fields, zip(*parts)):
            if values[0] is not None:
                arrays[f"{name}_{number}"] = np.stack(values)
    return arrays


def _videos(arrays: dict[str, np.ndarray]) -> dict[int, ScoredVideo]:
    count = sum(name.startswith("scores_") for name in arrays)
    videos = {}
    for row, index in enumerate(arrays["indices"].tolist()):
        results = tuple(_scores_of(arrays, number, row) for number in range(count))
        videos[index] = ScoredVideo(index, int(arrays["labels"][row]), results)
    return videos


def _scores_of(arrays: dict[str, np.ndarray], number: int, row: int) -> VideoScores:
    views, features = (arrays.get(f"{name}_{number}") for name in ("views", "features"))
    return VideoScores(
        arrays[f"scores_{number}"][row],
        None if views is None else views[row],
        None if features is None else features[row],
    )
