"""Augmentation on the device: uint8 clips in, float clips and soft targets out; one draw per clip.

Random numbers are drawn on the CPU from (seed, purpose, position of the clip in the run), so they depend neither on
the device nor on how the batch was put together; only the arithmetic happens on the device. Mix-up, which needs
neighbours, is the exception: one share per batch, drawn from the position of its first clip.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from utils.loss import mix, soft_targets
from utils.random_streams import stream

LUMA = (0.2989, 0.587, 0.114)  # ITU-R 601-2, as torchvision and Pillow grey a picture


def as_float(frames: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, C) -> float32 (B, T, C, H, W) on a scale of 0 to 1, in channels-last memory, in one pass."""
    return frames.permute(0, 1, 4, 2, 3).to(torch.float32).div_(255)


def _per_channel(values: Sequence[float], clips: torch.Tensor) -> torch.Tensor:
    return torch.tensor(values, dtype=clips.dtype, device=clips.device).view(1, 1, -1, 1, 1)


def standardise(clips: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """(clips - mean) / std per channel, in place; clips float (B, T, C, H, W)."""
    return clips.sub_(_per_channel(mean, clips)).div_(_per_channel(std, clips))


def normalise(frames: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """uint8 (B, T, H, W, C) -> float32 (B, T, C, H, W), standardised: what evaluation feeds a method."""
    return standardise(as_float(frames), mean, std)


def _grey(clips: torch.Tensor) -> torch.Tensor:
    return (clips * _per_channel(LUMA, clips)).sum(dim=2, keepdim=True)


def _blend(clips: torch.Tensor, other: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    return (factor * clips + (1 - factor) * other).clamp_(0, 1)


def brightness(clips: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Clips (B, T, 3, H, W) in 0..1 times `factor` (B, 1, 1, 1, 1)."""
    return (clips * factor).clamp_(0, 1)


def contrast(clips: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Blend each frame with its mean grey."""
    return _blend(clips, _grey(clips).mean(dim=(2, 3, 4), keepdim=True), factor)


def saturation(clips: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Blend each pixel with its grey."""
    return _blend(clips, _grey(clips), factor)


def hue(clips: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Turn the hue of HSV by `shift` turns (B, 1, 1, 1, 1), -0.5 to 0.5."""
    red, green, blue = clips.unbind(dim=2)
    value = clips.amax(dim=2)
    chroma = value - clips.amin(dim=2)
    safe = torch.where(chroma == 0, torch.ones_like(chroma), chroma)
    # Position on the colour circle in sixths; the largest channel says which third.
    turn = torch.where(value == blue, 4 + (red - green) / safe, torch.zeros_like(value))
    turn = torch.where(value == green, 2 + (blue - red) / safe, turn)
    turn = torch.where(value == red, (green - blue) / safe, turn)
    turn = turn + 6 * shift[:, :, 0]
    channels = []
    for offset in (5, 3, 1):  # the channel falls by the chroma as its own sixth goes away
        distance = torch.remainder(turn + offset, 6)
        part = torch.minimum(distance, 4 - distance).clamp_(0, 1)
        channels.append(value - chroma * part)
    return torch.stack(channels, dim=2)


COLOUR_STEPS: tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ...] = (
    brightness,
    contrast,
    saturation,
    hue,
)


def _factor_ranges(colorjitter: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest factor of each step: 1 - w to 1 + w but not below 0; of hue -w to w turns."""
    widths, middles = np.array(colorjitter), np.array([1.0, 1.0, 1.0, 0.0])
    return np.maximum(middles - widths, [0.0, 0.0, 0.0, -0.5]), middles + widths


class DeviceTransform:
    """Colour jitter, normalisation, random erasing, mix-up and label smoothing of one training batch.

    `colorjitter`: half-widths of brightness, contrast, saturation and hue; `random_erasing`: probability, smallest
    and largest area (parts of the frame), smallest aspect; `mix_up`: alpha. None or 0 leaves a step out.
    """

    def __init__(
        self,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        num_class: int,
        seed: int,
        colorjitter: Sequence[float] | None = None,
        random_erasing: Sequence[float] | None = None,
        mix_up: float = 0.0,
        label_smooth: float = 0.0,
    ) -> None:
        self._mean, self._std = tuple(mean), tuple(std)
        self._num_class = num_class
        self._seed = seed
        self._colorjitter = tuple(colorjitter) if colorjitter else None
        self._random_erasing = tuple(random_erasing) if random_erasing else None
        self._mix_up = mix_up
        self._label_smooth = label_smooth

    def __call__(
        self, frames: torch.Tensor, labels: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 (B, T, H, W, C), labels (B,), positions (B,) in the run -> float (B, T, C, H, W), targets (B, K)."""
        numbers = [int(position) for position in positions]
        clips = as_float(frames)
        if self._colorjitter and clips.shape[2] == 3:
            clips = self._jitter(clips, numbers)
        clips = standardise(clips, self._mean, self._std)
        if self._random_erasing:
            self._erase(clips, numbers)
        targets = soft_targets(labels, self._num_class, self._label_smooth)
        if self._mix_up:
            share = float(stream(self._seed, "mix_up", numbers[0]).beta(self._mix_up, self._mix_up))
            clips, targets = mix(clips, share), mix(targets, share)
        return clips, targets

    def _jitter(self, clips: torch.Tensor, numbers: list[int]) -> torch.Tensor:
        """Each clip by its own four factors, in its own order."""
        assert self._colorjitter is not None, "called without colour jitter"
        out = torch.empty_like(clips)  # keeps the channels-last strides
        for i, number in enumerate(numbers):
            rng = stream(self._seed, "colorjitter", number)
            order = rng.permutation(len(COLOUR_STEPS))
            factors = rng.uniform(*_factor_ranges(self._colorjitter))
            clip = clips[i : i + 1]
            for step in order:
                if self._colorjitter[step]:
                    factor = torch.tensor(factors[step], dtype=clip.dtype, device=clip.device).view(1, 1, 1, 1, 1)
                    clip = COLOUR_STEPS[step](clip, factor)
            out[i : i + 1] = clip
        return out

    def _erase(self, clips: torch.Tensor, numbers: list[int]) -> None:
        """Set one box per chosen clip to 0, the mean after normalising (Zhong et al., 2020)."""
        assert self._random_erasing is not None, "called without random erasing"
        probability, smallest, largest, aspect = self._random_erasing
        height, width = clips.shape[3:]
        for clip, number in zip(clips, numbers):
            rng = stream(self._seed, "random_erasing", number)
            if rng.uniform() >= probability:
                continue
            box = _erased_box(height, width, area=(smallest, largest), aspect=aspect, rng=rng)
            clip[:, :, box[0] : box[0] + box[2], box[1] : box[1] + box[3]] = 0


def _erased_box(
    height: int, width: int, *, area: tuple[float, float], aspect: float, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a box of a random area and aspect; an empty one where ten draws do not fit."""
    widest = abs(math.log(aspect))
    for _ in range(10):
        pixels = rng.uniform(*area) * height * width
        ratio = math.exp(rng.uniform(-widest, widest))
        box_height, box_width = round((pixels * ratio) ** 0.5), round((pixels / ratio) ** 0.5)
        if box_height < height and box_width < width:
            top, left = rng.integers(height - box_height + 1), rng.integers(width - box_width + 1)
            return int(top), int(left), box_height, box_width
    return 0, 0, 0, 0
