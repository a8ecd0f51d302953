"""Which folders of frames there are, and how many frames lie in each."""

import os
from collections.abc import Sequence
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


class FrameFolders:
    """The folders below a root. Each is listed once at most, and folders of frames not at all: they are large."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names: dict[str, frozenset[str]] = {}

    def inside(self, folder: str = "") -> frozenset[str]:
        """Names of the folders in `folder`, hidden ones left out."""
        if folder not in self._names:
            try:
                with os.scandir(self.root / folder) as entries:
                    names = frozenset(entry.name for entry in entries if entry.name[0] != "." and entry.is_dir())
            except OSError:
                names = frozenset()
            self._names[folder] = names
        return self._names[folder]

    def first_of(self, candidates: Sequence[str]) -> str:
        """The first of the candidate paths that is there; the first one of all where none is."""
        for path in candidates:
            parent, name = os.path.split(path)
            if name in self.inside(parent):
                return path
        return candidates[0]
