"""What frames become in front of the first convolution of a TSN: colours, stacked flow, or stacked differences."""

from typing import NamedTuple

import torch

from networks.image_network import IMAGENET_MEAN, IMAGENET_STD


class Modality(NamedTuple):
    """`frames_per_segment` frames of `channels` channels give one input of `in_channels`; mean and std per channel."""

    frames_per_segment: int
    channels: int
    in_channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


# Flow: 5 pairs (x, y), grey 128 is no motion. RGBDiff: 5 differences of 6 frames, fed as they are (Wang et al., 2016).
MODALITIES = {
    "RGB": Modality(1, 3, 3, IMAGENET_MEAN, IMAGENET_STD),
    "Flow": Modality(5, 2, 10, (0.5, 0.5), (0.226, 0.226)),
    "RGBDiff": Modality(6, 3, 15, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def stack_segments(clips: torch.Tensor, modality: str) -> torch.Tensor:
    """Frames (B, S * frames_per_segment, C, H, W) -> network input (B * S, in_channels, H, W)."""
    length = MODALITIES[modality].frames_per_segment
    assert clips.shape[1] % length == 0, f"{clips.shape[1]} frames of {modality}, needs a multiple of {length}"
    if length == 1:
        return clips.flatten(0, 1)
    segments = clips.unflatten(1, (-1, length))
    if modality == "RGBDiff":
        segments = segments[:, :, 1:] - segments[:, :, :-1]
    return segments.flatten(2, 3).flatten(0, 1)
