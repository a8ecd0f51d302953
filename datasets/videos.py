"""The videos of one side of an experiment, training or evaluation: list, names of classes, root, source of frames."""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from datasets.broken_video import BrokenVideo
from datasets.frame_names import check_template, find_frame_names
from datasets.frame_sources import (
    FolderSource,
    FrameSource,
    ImageFileSource,
    Memcached,
    PackedSource,
    VideoSource,
)
from datasets.list_file import VideoList, read_class_names, read_list
from utils.config_file import repository_path
from utils.config_schema import Config
from utils.errors import UserError

REPORTED_VIDEOS = 20
SCANNING_THREADS = 16
SCANNED_TOGETHER = 64  # videos a task of a thread, so that a million of them don't make a million tasks


class Videos(NamedTuple):
    """See the module; `description` is a line for the log."""

    videos: VideoList
    class_names: list[str]
    root: Path
    source: FrameSource
    description: str


def read_videos(config: Config, split: str, *, sampling: str) -> Videos:
    """Read the list of `split` ("train" or "val"), check it, and open its source; writes nothing.

    `sampling` "image" takes the paths for image files. Raises `UserError` for a missing list or root, and for every
    faulty line.
    """
    root, list_file = getattr(config, f"{split}_root"), getattr(config, f"{split}_source")
    root_path, list_path = repository_path(root), repository_path(list_file)
    faults = []
    packed = config.source.type == "lmdb" and sampling != "image"
    if packed and not root_path.is_file():
        faults.append(f"common.{split}_root: got {root!r}, no such file; source is lmdb, needs what pack_frames wrote")
    if not packed and not root_path.is_dir():
        faults.append(f"common.{split}_root: got {root!r}, no such folder; needs the folder that the list starts from")
    if not list_path.is_file():
        faults.append(f"common.{split}_source: got {list_file!r}, no such file; needs a list `path num_frames label`")
    if faults:
        raise UserError(*faults)
    videos = read_list(
        list_path,
        num_class=config.model.num_class,
        frames_required=config.source.type != "video" and sampling != "image",
        outside_root=config.source.outside_root,
    )
    class_names = read_class_names(list_path, config.model.num_class)
    source = _open_source(config, root_path, videos, sampling=sampling)
    classes = len(set(videos.labels.tolist()))
    description = f"{split}: {len(videos)} videos of {classes} classes from {list_path}; {source.describe()}"
    return Videos(videos, class_names, root_path, source, description)


def _open_source(config: Config, root: Path, videos: VideoList, *, sampling: str) -> FrameSource:
    servers = config.source.memcached
    cache = Memcached(servers=servers) if servers else None
    outside_root = config.source.outside_root
    if sampling == "image":
        return ImageFileSource(root=root, outside_root=outside_root, cache=cache)
    modality = "Flow" if config.model.modality == "Flow" else "RGB"
    if config.source.type == "video":
        if modality == "Flow":
            raise UserError("common.source.type: got video, but Flow needs folders of dumped flow: set it to folder")
        return VideoSource(root=root, outside_root=outside_root, cache=cache)
    if config.source.type == "lmdb":
        return _open_packed(root, modality, cache)
    template = config.image_tmpl and check_template(config.image_tmpl, modality=modality)
    try:
        names = find_frame_names(root / videos[0].path, modality=modality, template=template)
    except BrokenVideo as error:
        raise UserError(
            f"{videos.where(0)}: {error.reason}; check the root, or name the frames by common.image_tmpl"
        ) from error
    return FolderSource(root=root, names=names, modality=modality, outside_root=outside_root, cache=cache)


def _open_packed(file: Path, modality: str, cache: Memcached | None) -> PackedSource:
    try:
        return PackedSource(file=file, modality=modality, cache=cache)
    except BrokenVideo as error:
        raise UserError(error.reason) from error


def check_videos(videos: Videos) -> list[str]:
    """Lines on listed videos whose folder or file is missing, or has fewer frames than the list says.

    Folders are scanned in parallel; the first 20 lines are given, and how many more there are.
    """
    count = len(videos.videos)
    parts = [range(first, min(first + SCANNED_TOGETHER, count)) for first in range(0, count, SCANNED_TOGETHER)]
    with ThreadPoolExecutor(SCANNING_THREADS) as pool:
        lines = [line for found in pool.map(partial(_video_faults, videos), parts) for line in found]
    if len(lines) > REPORTED_VIDEOS:
        lines[REPORTED_VIDEOS:] = [f"{videos.videos.list_file}: and {len(lines) - REPORTED_VIDEOS} more like these"]
    return lines


def _video_faults(videos: Videos, indices: range) -> list[str]:
    return [line for line in (_video_fault(videos, index) for index in indices) if line]


def _video_fault(videos: Videos, index: int) -> str | None:
    record = videos.videos[index]
    packed = isinstance(videos.source, PackedSource)
    if not packed and not os.path.exists(videos.root / record.path):  # Path.exists raises at a name that is too long
        return f"{videos.videos.where(index)}: no such folder or file below {videos.root}"
    if not isinstance(videos.source, FolderSource | PackedSource):
        return None
    try:
        found = videos.source.num_frames(record.path)
    except BrokenVideo as error:
        return f"{videos.videos.where(index)}: {error.reason}"
    if found < record.num_frames:
        return f"{videos.videos.where(index)}: the list says {record.num_frames} frames, {found} are there"
    return None
