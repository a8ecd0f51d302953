"""How many frames lie in a video's folder."""

import json
import os
from pathlib import Path

from datasets.broken_video import BrokenVideo
from datasets.frame_names import find_frame_names
from datasets.prepare.frame_writer import MARKER


def count_frames(folder: Path) -> int:
    """Frames of a dumped folder: from its marker, or counted by their names; 0 where there are none."""
    try:
        return int(json.loads((folder / MARKER).read_text(encoding="utf-8"))["frames"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return find_frame_names(folder).count(folder)
    except BrokenVideo:
        return 0


def video_folders(frames: Path) -> dict[str, list[str]]:
    """Folders that hold frames, by their last name: `id` -> paths below `frames` (with or without class folders)."""
    found: dict[str, list[str]] = {}
    for folder, _, files in os.walk(frames):
        if files and Path(folder) != frames:
            path = Path(folder).relative_to(frames).as_posix()
            found.setdefault(Path(folder).name, []).append(path)
    return found
