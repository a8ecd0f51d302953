"""Folders as dump_frames leaves them, without the pictures."""

from collections.abc import Iterable
from pathlib import Path

from datasets.prepare.frame_folder import write_marker


def make_dumped_folders(root: Path, videos: Iterable[str], *, num_frames: int = 30) -> Path:
    """A marked folder for each of `videos` below `root`; returns `root`."""
    root.mkdir(parents=True, exist_ok=True)
    for video in videos:
        (root / video).mkdir(parents=True, exist_ok=True)
        write_marker(root / video, {"num_frames": num_frames, "num_flows": num_frames - 1})
    return root
