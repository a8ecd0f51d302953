"""Which files below a folder are videos, and which folder of frames each of them gets."""

import os
from pathlib import Path
from typing import NamedTuple

from utils.errors import UserError

VIDEO_SUFFIXES = tuple(
    f".{name}"
    for name in (
        *("3gp", "asf", "avi", "divx", "f4v", "flv", "gif", "m2ts", "m4v", "mjpeg", "mkv", "mov", "mp4", "mpeg"),
        *("mpg", "mts", "mxf", "ogv", "ts", "vob", "webm", "wmv", "y4m"),
    )
)


def without_suffix(name: str) -> str:
    """A video's path less its suffix, which is where `dump_frames` puts its frames; other dots stay."""
    return os.path.splitext(name)[0] if name.lower().endswith(VIDEO_SUFFIXES) else name


class VideoFile(NamedTuple):
    """A video and where its frames go: `name` is its path below the searched folder, `folder` the same less the suffix.

    `fault` says why it can't be dumped at all, None mostly.
    """

    path: Path
    name: str
    folder: str
    fault: str | None = None


class FoundVideos(NamedTuple):
    """`videos` sorted by name; `others` counts the files that aren't videos by their suffix."""

    videos: list[VideoFile]
    others: int


def find_videos(place: Path) -> FoundVideos:
    """The videos below a folder (symbolic links followed, hidden files left out), or the one file that `place` is.

    Two videos that would share a folder of frames get a `fault` each. Raises `UserError` where there is no video.
    """
    if place.is_file():
        return FoundVideos([VideoFile(place.resolve(), place.name, without_suffix(place.name))], 0)
    if not place.is_dir():
        raise UserError(f"VIDEOS: got {str(place)!r}, no such file or folder; needs a video, or a folder of videos")
    names = sorted(_file_names(place))
    videos = [name for name in names if name.lower().endswith(VIDEO_SUFFIXES)]
    if not videos:
        raise UserError(f"VIDEOS: {place} holds {len(names)} files, none a video by its suffix (.mp4, .avi, .webm ...)")
    root = place.resolve()
    found = [VideoFile(root / name, name, without_suffix(name)) for name in videos]
    return FoundVideos(_with_faults(found), len(names) - len(videos))


def _file_names(place: Path) -> list[str]:
    """Paths below `place` of all files that aren't hidden; a folder that links lead to twice is walked once."""
    names: list[str] = []
    seen = set()
    for folder, subfolders, files in os.walk(place, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        below = os.path.relpath(folder, place)
        names += [os.path.normpath(os.path.join(below, name)) for name in files if not name.startswith(".")]
    return names


def _with_faults(videos: list[VideoFile]) -> list[VideoFile]:
    sharing: dict[str, list[str]] = {}
    parents: dict[str, str] = {}
    for video in videos:
        sharing.setdefault(video.folder, []).append(video.name)
        parent = os.path.dirname(video.folder)
        while parent and parent not in parents:
            parents[parent] = video.name
            parent = os.path.dirname(parent)
    return [video._replace(fault=_fault(video, sharing[video.folder], parents)) for video in videos]


def _fault(video: VideoFile, sharing: list[str], parents: dict[str, str]) -> str | None:
    if len(sharing) > 1:
        others = ", ".join(name for name in sharing if name != video.name)
        return f"name clash: its frames would go to the same folder as those of {others}; rename one"
    if video.folder in parents:
        return f"name clash: its frames would lie among the folders of {parents[video.folder]}; rename it"
    if len(video.name.splitlines()) != 1 or video.folder != video.folder.strip():
        return "its name has a line break or a space at an end, which no list can hold; rename it"
    return None
