"""What the project's loader is measured against: the same clips, made by Pillow and by OpenCV, plainly written."""

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import simplejpeg
import torch
from torch.utils.data import Dataset

from datasets.clip_sampling import segments_train
from datasets.list_file import VideoList
from datasets.samplers import SampleKey
from utils.random_streams import stream
from utils.transforms import CropBox, multi_scale_crop

SEED, SEGMENTS, SIZE = 0, 8, 224
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
SCALES = [1.0, 0.875, 0.75, 0.66]


class Yardstick(Dataset[torch.Tensor]):
    """Clips uint8 (8, 224, 224, 3): the frames, crops and flips that the project's loader takes."""

    def __init__(self, *, videos: VideoList, root: Path) -> None:
        self._videos = videos
        self._root = root

    def files(self, key: SampleKey) -> list[str]:
        """The frames of a clip."""
        record = self._videos[key.video_index]
        rng = stream(SEED, "frames", key.position)
        indices = segments_train(record.num_frames, num_segments=SEGMENTS, frames_per_segment=1, rng=rng)
        return [f"{self._root}/{record.path}/img_{index + 1:05d}.jpg" for index in indices]

    def crop(self, key: SampleKey, height: int, width: int) -> tuple[CropBox, bool]:
        """The clip's crop, and whether it is mirrored."""
        box = multi_scale_crop(height, width, SIZE, SCALES, stream(SEED, "crop", key.position))
        return box, stream(SEED, "flip", key.position).random() < 0.5


class PilClips(Yardstick):
    """Frames as official TSN and TSM make them, bilinear with antialiasing; uint8 out."""

    def __getitem__(self, key: SampleKey) -> torch.Tensor:
        frames = [PIL.Image.open(file).convert("RGB") for file in self.files(key)]
        box, mirrored = self.crop(key, frames[0].height, frames[0].width)
        corners = (box.left, box.top, box.left + box.width, box.top + box.height)
        frames = [frame.crop(corners).resize((SIZE, SIZE), PIL.Image.Resampling.BILINEAR) for frame in frames]
        if mirrored:
            frames = [frame.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT) for frame in frames]
        return torch.from_numpy(np.stack([np.asarray(frame) for frame in frames]))


class PilFloatClips(PilClips):
    """As official TSN and TSM hand clips over: float32 (24, 224, 224), standardised."""

    def __getitem__(self, key: SampleKey) -> torch.Tensor:
        clip = super().__getitem__(key).permute(0, 3, 1, 2).contiguous().float().div(255)
        return clip.sub_(MEAN).div_(STD).flatten(0, 1)


def _imread(file: str) -> np.ndarray:
    pixels = cv2.imread(file)
    assert pixels is not None, f"{file}: can't be read"
    return pixels


class OpenCvClips(Yardstick):
    """As mmaction2 does it: bilinear without antialiasing."""

    def __getitem__(self, key: SampleKey) -> torch.Tensor:
        frames = [cv2.cvtColor(_imread(file), cv2.COLOR_BGR2RGB) for file in self.files(key)]
        box, mirrored = self.crop(key, *frames[0].shape[:2])
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        frames = [cv2.resize(frame[rows, columns], (SIZE, SIZE)) for frame in frames]
        if mirrored:
            frames = [cv2.flip(frame, 1) for frame in frames]
        return torch.from_numpy(np.stack(frames))


class WholeFrames(Yardstick):
    """Reads and decodes 8 whole frames, exactly, and hands over nothing."""

    def __getitem__(self, key: SampleKey) -> torch.Tensor:
        for file in self.files(key):
            simplejpeg.decode_jpeg(Path(file).read_bytes(), "RGB")
        return torch.zeros(1, dtype=torch.uint8)
