"""Write a packed file: what is there is committed, what is missing is done by the next start."""

import contextlib
import errno
import fcntl
import json
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import lmdb

from datasets.broken_video import BrokenVideo
from datasets.frame_names import FrameNames
from datasets.frame_sources.pictures import AXES
from datasets.frame_sources.root import Root
from datasets.packed_file import (
    ABOUT,
    FORMAT,
    VIDEO_BYTES,
    PackedFile,
    PackedVideo,
    close_packed,
    picture_key,
    read_record,
    sealed,
    unsealed,
    video_key,
)
from datasets.prepare.progress import progress_bar
from utils.errors import UserError

FIRST_SIZE = 1 << 30  # of the map; doubled when it is full
COMMIT_BYTES = 64 << 20


class PackJob(NamedTuple):
    """From folders below `frames`, whose pictures are called `names`, into `out`."""

    frames: Path
    out: Path
    modality: str
    names: FrameNames

    def about(self) -> dict[str, Any]:
        """What the file says of itself, and what a resumed job must agree with."""
        names = [self.names.template, self.names.first]
        return {"format": FORMAT, "modality": self.modality, "frames": str(self.frames.resolve()), "names": names}


class _ReadVideo(NamedTuple):
    record: PackedVideo
    pictures: list[tuple[int, str, bytes]]

    def size(self) -> int:
        return sum(len(data) for _, _, data in self.pictures)


def unpacked_videos(file: Path, videos: list[str]) -> list[str]:
    """Which of `videos` a complete packed file lacks; raises `UserError` where it is no packed file."""
    try:
        packed = PackedFile(file)
        assert packed.about, f"{file} is read without its entry `about`"
        with packed.begin() as transaction:
            return [video for video in videos if read_record(transaction, video) is None]
    except BrokenVideo as error:
        raise UserError(error.reason) from error
    finally:
        close_packed(file)


def pack(job: PackJob, listed: dict[str, int], *, workers: int, verified: bool) -> list[str]:
    """Pack the videos of `listed` (path: frames that the list wants); a line for each that can't be.

    `verified`: everything is read back and compared with its checksum before the file gets its name.
    """
    unfinished = job.out.with_name(f"{job.out.name}.packing")
    try:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        with _locked(unfinished.with_name(f"{unfinished.name}.pid")), _Writer(unfinished, job.about()) as writer:
            faults = list(_pack_missing(job, listed, writer, workers))
            if len(faults) == len(listed):
                raise UserError(f"{job.frames}: none of the {len(listed)} videos can be packed", *faults[:3])
            writer.finish()
            if verified:
                verify(writer.environment, unfinished)
            writer.environment.close()
            unfinished.replace(job.out)
            unfinished.with_name(f"{unfinished.name}-lock").unlink(missing_ok=True)
    except (OSError, lmdb.Error) as error:
        raise UserError(f"{job.out}: can't be written ({error}); make room, then run again to go on") from error
    return faults


@contextlib.contextmanager
def _locked(place: Path) -> Iterator[None]:
    with place.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise UserError(f"{place.with_suffix('')}: another pack_frames is at it; wait for it to end") from error
        try:
            yield
        finally:
            place.unlink(missing_ok=True)


def _pack_missing(job: PackJob, listed: dict[str, int], writer: "_Writer", workers: int) -> Iterator[str]:
    """Pack what is not there yet; yields the lines on videos that can't be."""
    root = Root(job.frames, outside_root=True)
    with ThreadPoolExecutor(workers) as pool:
        tasks = ((video, count) for video, count in listed.items() if not writer.has(video, job.frames))
        reads = _ahead(pool, ((root, job, video, count) for video, count in tasks), 2 * workers)
        for read in progress_bar(reads, total=len(listed), what="videos"):
            if isinstance(read, str):
                yield read
            else:
                writer.add(read)
    writer.commit()


def _ahead(pool: ThreadPoolExecutor, tasks: Iterable[tuple[Any, ...]], count: int) -> Iterator[_ReadVideo | str]:
    """Results in order, at most `count` of them under way, so that memory stays small."""
    waiting: deque[Future[_ReadVideo | str]] = deque()
    for task in tasks:
        waiting.append(pool.submit(_read_video, *task))
        if len(waiting) >= count:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _read_video(root: Root, job: PackJob, video: str, wanted: int) -> _ReadVideo | str:
    """All pictures of a video, or why it can't be packed."""
    folder = job.frames / video
    try:
        count = job.names.count(folder)
        if count < wanted:
            return f"{video}: the list says {wanted} frames, the folder has {count}"
        mtime_ns = folder.stat().st_mtime_ns
        pictures = [
            (frame, axis, root.read_bytes(folder / job.names.file(frame, axis=axis)))
            for frame in range(count)
            for axis in AXES[job.modality]
        ]
    except (BrokenVideo, OSError) as error:
        return f"{video}: {error}"
    return _ReadVideo(PackedVideo(video, count, mtime_ns), pictures)


class _Writer:
    """The unfinished file; opens one that is there if it was made by the same job."""

    def __init__(self, file: Path, about: dict[str, Any]) -> None:
        self._file, self._about = file, about
        self._batch: list[_ReadVideo] = []

    def __enter__(self) -> "_Writer":
        self.environment = lmdb.open(str(self._file), subdir=False, map_size=FIRST_SIZE, max_dbs=0)
        with self.environment.begin(write=True) as transaction:
            made = transaction.get(ABOUT)
            known = json.loads(bytes(made)) if made else {"identity": uuid.uuid4().hex}
            different = [key for key, value in self._about.items() if made and known.get(key) != value]
            if not different:
                self._about = {**known, **self._about, "complete": False}
                transaction.put(ABOUT, json.dumps(self._about).encode())
        if different:
            self.environment.close()
            raise UserError(f"{self._file}: was begun with another {' and '.join(different)}; remove it to begin anew")
        return self

    def __exit__(self, *_: object) -> None:
        self.environment.close()

    def has(self, video: str, frames: Path) -> bool:
        """Whether the video is packed as its folder is now."""
        with self.environment.begin() as transaction:
            record = read_record(transaction, video)
        try:
            return record is not None and record.mtime_ns == (frames / video).stat().st_mtime_ns
        except OSError:
            return False

    def add(self, video: _ReadVideo) -> None:
        """Write the video, now or with the next ones."""
        self._batch.append(video)
        if sum(each.size() for each in self._batch) >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        """Bring to the disk what was added."""
        while not self._written():
            self.environment.set_mapsize(2 * self.environment.info()["map_size"])
        self._batch = []

    def _written(self) -> bool:
        """Whether the batch fitted into the map."""
        try:
            with self.environment.begin(write=True) as transaction:
                for video in self._batch:
                    _put_video(transaction, video)
        except lmdb.MapFullError:
            return False
        return True

    def finish(self) -> None:
        """Say in the file that it is complete."""
        with self.environment.begin(write=True) as transaction:
            transaction.put(ABOUT, json.dumps({**self._about, "complete": True}).encode())


def _put_video(transaction: lmdb.Transaction, video: _ReadVideo) -> None:
    key = video_key(video.record.path)
    for frame, axis, data in video.pictures:
        transaction.put(picture_key(key, frame, axis), sealed(data))
    transaction.put(key, json.dumps(video.record._asdict()).encode())


def verify(environment: lmdb.Environment, file: Path) -> int:
    """Read everything back; returns how many pictures. Raises `UserError` where one is missing or has changed."""
    pictures = frames = 0
    with environment.begin() as transaction:
        for key, value in transaction.cursor():
            if len(key) == VIDEO_BYTES:
                frames += json.loads(bytes(value))["num_frames"]
            pictures += len(key) > VIDEO_BYTES
            if len(key) > VIDEO_BYTES and unsealed(bytes(value)) is None:
                raise UserError(f"{file}: a picture is not as it was packed; remove the file and pack anew")
    if pictures < frames:
        raise UserError(f"{file}: {pictures} pictures of {frames} frames are there; remove the file and pack anew")
    return pictures
