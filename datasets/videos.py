"""The videos of one side of an experiment, training or evaluation: list, names of classes, root, source of frames."""

from pathlib import Path
from typing import NamedTuple

from datasets.broken_video import BrokenVideo
from datasets.finding import Finding
from datasets.frame_checks import frame_findings, look_at_files, look_into_folders, packed_findings
from datasets.frame_names import check_template, find_frame_names
from datasets.frame_sources import (
    FolderSource,
    FrameSource,
    ImageFileSource,
    Memcached,
    PackedSource,
    VideoSource,
)
from datasets.frame_sources.root import Root
from datasets.list_checks import duplicates, empty_classes, in_both, shared_groups
from datasets.list_file import VideoList, read_class_names, read_list
from utils.config_file import repository_path
from utils.config_schema import Config
from utils.errors import UserError


class Videos(NamedTuple):
    """See the module; `description` is a line for the log."""

    videos: VideoList
    class_names: list[str]
    root: Path
    source: FrameSource
    description: str
    outside_root: bool = False


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
    return Videos(videos, class_names, root_path, source, description, config.source.outside_root)


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


def video_findings(videos: Videos) -> list[Finding]:
    """Listed videos that are missing, lie outside the root, have too few frames or gaps; see `frame_checks`."""
    source, root = videos.source, Root(videos.root, outside_root=videos.outside_root)
    if isinstance(source, PackedSource):
        return packed_findings(videos.videos, source.file)
    if isinstance(source, FolderSource):
        names = source.store.names(videos.videos[0].path)
        return frame_findings(videos.videos, look_into_folders(root, names, source.modality))
    return frame_findings(videos.videos, look_at_files(root))


def list_findings(train: Videos, val: Videos) -> list[Finding]:
    """All that can be found before a run: `video_findings`, and what is wrong between and within the two lists."""
    both = [train.videos, val.videos]
    findings = [finding for side in (train, val) for finding in video_findings(side)]
    findings += [finding for videos in both for finding in duplicates(videos)]
    findings += [finding for side in (train, val) for finding in empty_classes(side.videos, side.class_names)]
    if train.videos.list_file.resolve() != val.videos.list_file.resolve():
        findings += [*in_both(*both), *shared_groups(train.videos, val.videos)]
    return findings
