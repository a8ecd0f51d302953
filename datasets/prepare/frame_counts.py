"""How many frames lie in a video's folder, and which folders below a root hold frames."""

import os
from pathlib import Path

from datasets.broken_video import BrokenVideo
from datasets.frame_names import find_frame_names
from datasets.prepare.frame_folder import read_marker


def count_frames(folder: Path, *, modality: str = "RGB") -> int:
    """Frames of a folder (modality "Flow": x flows), from `dump_frames`' marker or by their names; 0 if none."""
    marker = read_marker(folder)
    if marker is not None:
        return int(marker["num_flows" if modality == "Flow" else "num_frames"])
    try:
        return find_frame_names(folder, modality=modality).count(folder)
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
