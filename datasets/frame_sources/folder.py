"""A folder of numbered JPEGs per video."""

from pathlib import Path

import numpy as np
import torch

from datasets.broken_video import BrokenVideo
from datasets.frame_names import FrameNames, find_frame_names
from datasets.frame_sources.jpeg import decode_grey, decode_rgb, read_bytes


class FolderSource:
    """Frames of `root/<video>/img_00001.jpg` and the like.

    `names` says how files are called; None: read off the first folder that is asked for. `modality` "Flow" reads the
    pairs flow_x_00001.jpg, flow_y_00001.jpg and gives frames of two channels (x, y).
    """

    def __init__(self, *, root: Path, names: FrameNames | None = None, modality: str = "RGB") -> None:
        self.root = root
        self.modality = modality
        self._names = names

    def names(self, video: str) -> FrameNames:
        """How frames are called, found out from `video` where it isn't known yet."""
        if self._names is None:
            self._names = find_frame_names(self.root / video, modality=self.modality)
        return self._names

    def num_frames(self, video: str) -> int:
        """See `FrameSource`: counts numbered files, without looking at gaps."""
        return self.names(video).count(self.root / video)

    def read(self, video: str, indices: np.ndarray) -> list[torch.Tensor]:
        """See `FrameSource`; a frame that is asked for twice is decoded once."""
        folder, names = self.root / video, self.names(video)
        frames = {index: self._frame(folder, names, index) for index in dict.fromkeys(int(i) for i in indices)}
        sizes = {tuple(frame.shape) for frame in frames.values()}
        if len(sizes) > 1:
            raise BrokenVideo(f"{folder}: frames of different sizes {sorted(sizes)}")
        return [frames[int(index)] for index in indices]

    def _frame(self, folder: Path, names: FrameNames, index: int) -> torch.Tensor:
        if self.modality == "Flow":
            pair = [folder / names.file(index, axis=axis) for axis in ("x", "y")]
            x, y = (decode_grey(read_bytes(path), path) for path in pair)
            if x.shape != y.shape:
                raise BrokenVideo(f"{pair[0]}: {tuple(x.shape)} pixels, {pair[1].name} has {tuple(y.shape)}")
            return torch.cat([x, y], dim=2)
        path = folder / names.file(index)
        return decode_rgb(read_bytes(path), path)

    def describe(self) -> str:
        """See `FrameSource`."""
        names = f"{self._names.template}, counted from {self._names.first}" if self._names else "names not known yet"
        return f"frames {self.root}/<video>/{names}"
