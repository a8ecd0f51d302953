"""Group transforms on the CPU: one random draw per clip, uint8 in, uint8 out.

A clip is a uint8 tensor (T, H, W, C). Crops are drawn as boxes in the stored frame and cut in one pass with their
resize, so nothing is scaled that is thrown away afterwards. Colour work happens on the device
(`utils.device_transforms`).
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn.functional import interpolate

SNAP_PIXELS = 3  # TSN takes the network's own side for a crop that is nearly as large
MAX_DISTORTION = 1  # steps on the list of scales by which height and width may differ


class CropBox(NamedTuple):
    """A rectangle in pixels of the frame that it is cut from."""

    top: int
    left: int
    height: int
    width: int


def _fixed_offsets(height: int, width: int, crop_height: int, crop_width: int) -> list[tuple[int, int]]:
    """TSN's 13 positions (top, left) of a crop: corners, middles of edges, centre, and between centre and corners."""
    steps = [(0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3)]
    down, right = (height - crop_height) // 4, (width - crop_width) // 4
    return [(y * down, x * right) for x, y in steps]


def multi_scale_crop(height: int, width: int, size: int, scales: list[float], rng: np.random.Generator) -> CropBox:
    """TSN's corner and scale jittering (Wang et al., ECCV 2016): sides are `scales` of the frame's short side.

    A side within 2 pixels of `size` becomes `size`; height and width differ by one step of `scales` at most; the
    position is one of 13 fixed ones.
    """
    base = min(height, width)
    sides = [max(1, int(base * scale)) for scale in scales]
    heights = [min(size, height) if abs(side - size) < SNAP_PIXELS else side for side in sides]
    widths = [min(size, width) if abs(side - size) < SNAP_PIXELS else side for side in sides]
    pairs = [
        (heights[i], widths[j]) for i in range(len(scales)) for j in range(len(scales)) if abs(i - j) <= MAX_DISTORTION
    ]
    crop_height, crop_width = pairs[rng.integers(len(pairs))]
    offsets = _fixed_offsets(height, width, crop_height, crop_width)
    top, left = offsets[rng.integers(len(offsets))]
    return CropBox(top, left, crop_height, crop_width)


def scale_jitter_crop(height: int, width: int, size: int, jitter_sizes: list[int], rng: np.random.Generator) -> CropBox:
    """SlowFast's crop: the short side becomes a random length in the range, then `size` x `size` is cut anywhere.

    Returned as the box in the stored frame that this square comes from.
    """
    short_side = round(rng.uniform(jitter_sizes[0], jitter_sizes[1]))
    side = max(1, round(size * min(height, width) / short_side))
    assert short_side >= size, f"scale jitter to a short side of {short_side} leaves no room for a crop of {size}"
    side = min(side, height, width)
    return CropBox(int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1)), side, side)


def random_resized_crop(
    height: int, width: int, size: int, rng: np.random.Generator, area: tuple[float, float] = (0.08, 1.0)
) -> CropBox:
    """Inception's crop: a random part of the area, aspect 3/4 to 4/3; the centre where ten draws do not fit."""
    for _ in range(10):
        pixels = height * width * rng.uniform(*area)
        aspect = float(np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3))))
        crop_width, crop_height = round((pixels * aspect) ** 0.5), round((pixels / aspect) ** 0.5)
        if 0 < crop_width <= width and 0 < crop_height <= height:
            top, left = rng.integers(height - crop_height + 1), rng.integers(width - crop_width + 1)
            return CropBox(int(top), int(left), crop_height, crop_width)
    side = min(height, width)
    return CropBox((height - side) // 2, (width - side) // 2, side, side)


def fixed_crops(height: int, width: int, size: int, crops: int) -> list[tuple[CropBox, bool]]:
    """The `crops` squares of evaluation, each with whether it is mirrored.

    1: centre; 3: both ends and the centre of the longer side; 5: corners and centre; 10: those, then mirrored.
    Raises ValueError for a square larger than the frame.
    """
    if size > min(height, width):
        raise ValueError(f"a crop of {size} does not fit a frame of {width}x{height}: raise test_resize")
    down, right = (height - size) // 4, (width - size) // 4
    centre = ((height - size) // 2, (width - size) // 2)
    if crops == 1:
        places = [centre]
    elif crops == 3:
        places = [(2 * down, 0), (2 * down, 4 * right), (2 * down, 2 * right)]
        if height > width:
            places = [(0, 2 * right), (4 * down, 2 * right), (2 * down, 2 * right)]
    else:
        assert crops in (5, 10), f"no rule for {crops} crops"
        places = [(0, 0), (0, 4 * right), (4 * down, 0), (4 * down, 4 * right), (2 * down, 2 * right)]
    boxes = [(CropBox(top, left, size, size), False) for top, left in places]
    return boxes + [(box, True) for box, _ in boxes] if crops == 10 else boxes


def edge_crops(height: int, width: int, size: int) -> list[tuple[CropBox, bool]]:
    """PySlowFast's three squares: both ends of the longer side, to the very edge, and its middle, rounded up.

    `fixed_crops` steps by fourths as TSN's code does, which leaves up to 3 pixels of an edge unseen. Raises
    ValueError for a square larger than the frame.
    """
    if size > min(height, width):
        raise ValueError(f"a crop of {size} does not fit a frame of {width}x{height}: raise test_resize")
    middle = (-(-(height - size) // 2), -(-(width - size) // 2))
    far = (height - size, middle[1]) if height > width else (middle[0], width - size)
    near = (0, middle[1]) if height > width else (middle[0], 0)
    return [(CropBox(top, left, size, size), False) for top, left in (near, middle, far)]


def resize(clip: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize a clip to `size` (height, width): bilinear, antialiased, as Pillow does it."""
    if tuple(clip.shape[1:3]) == size:
        return clip
    channels_last = clip.permute(0, 3, 1, 2)  # T H W C seen as T C H W is channels-last already
    return interpolate(channels_last, size, mode="bilinear", antialias=True).permute(0, 2, 3, 1)


def cut(frames: torch.Tensor, box: CropBox) -> torch.Tensor:
    """The part of frames (..., H, W, C) in `box`, a view."""
    part = frames[..., box.top : box.top + box.height, box.left : box.left + box.width, :]
    assert part.shape[-3:-1] == (box.height, box.width), f"{box} leaves the frame of {tuple(frames.shape[-3:-1])}"
    return part


def resize_short_side(clip: torch.Tensor, size: int) -> torch.Tensor:
    """Resize a clip so that its short side is `size`, the other in proportion (rounded down, as torchvision does)."""
    height, width = clip.shape[1:3]
    if height <= width:
        return resize(clip, (size, int(width * size / height)))
    return resize(clip, (int(height * size / width), size))


def flip(clip: torch.Tensor) -> torch.Tensor:
    """The clip mirrored left to right; of flow (C = 2) the x component (channel 0) is inverted too."""
    mirrored = clip.flip(2)
    if clip.shape[3] == 2:
        mirrored[..., 0] = 255 - mirrored[..., 0]
    return mirrored


def flip_(clip: torch.Tensor) -> torch.Tensor:
    """`flip` in place, of a contiguous clip on the CPU: a fourth of the time."""
    frames, height, width, channels = clip.shape
    rows = clip.view(frames * height, width, channels).numpy()
    cv2.flip(rows, 1, dst=rows)
    if channels == 2:
        rows[..., 0] = 255 - rows[..., 0]
    return clip
