"""Whether the videos of a list are there, with the frames that the list says and no gap among them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from datasets.broken_video import BrokenVideo
from datasets.finding import Finding
from datasets.frame_names import FrameNames
from datasets.frame_sources.pictures import AXES
from datasets.frame_sources.root import Root
from datasets.list_file import VideoList, VideoRecord
from datasets.packed_file import PackedFile, read_record

SCANNING_THREADS = 16
SCANNED_TOGETHER = 64  # videos a task of a thread, so that a million of them don't make a million tasks
SHOWN_GAPS = 5

Fault = tuple[str, str, int]  # kind, message, what `Finding.keep` says
Look = Callable[[VideoRecord], Fault | None]


def look_into_folders(root: Root, names: FrameNames, modality: str) -> Look:
    """Looks at a video's folder: is it there, are frames 1 to num_frames (or 0 to num_frames - 1) all there."""

    def look(record: VideoRecord) -> Fault | None:
        try:
            folder = root.path(record.path)
        except BrokenVideo as error:
            return "outside the root", error.reason, 0
        if not os.path.isdir(folder):  # Path.is_dir raises at a name that is too long
            return "missing", f"{record.path}: no such folder below {root.folder}", 0
        axes = [names.numbers(folder, axis=axis) for axis in AXES[modality]]
        present = set(axes[0]).intersection(*axes[1:])
        highest = max((max(numbers, default=names.first - 1) for numbers in axes), default=names.first - 1)
        gaps = sorted(set(range(names.first, highest + 1)) - present)
        if gaps:
            some = ", ".join(str(number) for number in gaps[:SHOWN_GAPS]) + (", ..." if len(gaps) > SHOWN_GAPS else "")
            return "gaps", f"{record.path}: of pictures {names.first} to {highest}, {len(gaps)} are missing: {some}", 0
        return _against_the_list(record, len(present))

    return look


def look_at_files(root: Root) -> Look:
    """Looks whether a video or image file is there; it is not decoded."""

    def look(record: VideoRecord) -> Fault | None:
        try:
            path = root.path(record.path)
        except BrokenVideo as error:
            return "outside the root", error.reason, 0
        return None if os.path.isfile(path) else ("missing", f"{record.path}: no such file below {root.folder}", 0)

    return look


def _against_the_list(record: VideoRecord, found: int) -> Fault | None:
    if found >= max(1, record.num_frames):
        return None
    return "too few frames", f"{record.path}: the list says {record.num_frames} frames, {found} are there", found


def frame_findings(videos: VideoList, look: Look) -> list[Finding]:
    """What `look` finds, in the order of the list; folders are scanned in parallel."""
    count = len(videos)
    parts = [range(first, min(first + SCANNED_TOGETHER, count)) for first in range(0, count, SCANNED_TOGETHER)]

    def look_at(part: Sequence[int]) -> list[Finding]:
        return [finding for index in part if (finding := _finding(videos, videos[index], look))]

    with ThreadPoolExecutor(SCANNING_THREADS) as pool:
        return [finding for found in pool.map(look_at, parts) for finding in found]


def _finding(videos: VideoList, record: VideoRecord, look: Look) -> Finding | None:
    fault = look(record)
    return Finding(videos.list_file, record.line, fault[0], fault[1], keep=fault[2]) if fault else None


def packed_findings(videos: VideoList, file: Path) -> list[Finding]:
    """The same for a packed file, out of its records alone; a packed video has no gaps."""
    findings = []
    with PackedFile(file).begin() as transaction:
        for index in range(len(videos)):
            record = videos[index]
            packed = read_record(transaction, record.path)
            fault = (
                _against_the_list(record, packed.num_frames)
                if packed
                else ("missing", f"{record.path}: not packed in {file}", 0)
            )
            if fault:
                findings.append(Finding(videos.list_file, record.line, fault[0], fault[1], keep=fault[2]))
    return findings
