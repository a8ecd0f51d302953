"""What every method offers beside `forward`: the engine builds loaders and protocols from it."""

import torch
from torch import nn


class Method(nn.Module):
    """float (B, T, C, H, W) -> logits (B, num_class).

    `sampling`: how its clips are chosen, "segments", "clip" or "image"; `frames_per_segment`: frames in a row at each
    chosen place; `frames_per_view`: T in training; `train_crop`: its usual training crop; `dense_protocol`: what
    `val_dense` means for it; `mean`, `std`: per channel, on a scale of 0 to 1; `classifier`: its last layer;
    `frame_wise`: its logits are a function of each segment's own features, which evaluation computes once.
    """

    sampling: str
    frames_per_segment: int
    frames_per_view: int
    train_crop: str
    dense_protocol: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    backbone: nn.Module
    classifier: nn.Linear
    frame_wise: bool = False

    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """float (B, T, C, H, W) -> (B, segments, D), of a `frame_wise` method: each segment's are its own alone."""
        raise NotImplementedError(f"{type(self).__name__} does not look at segments one by one")

    def from_features(self, features: torch.Tensor) -> torch.Tensor:
        """Features (B, segments, D) -> logits (B, num_class), of a `frame_wise` method."""
        raise NotImplementedError(f"{type(self).__name__} does not look at segments one by one")

    def probabilities(self, clips: torch.Tensor) -> torch.Tensor:
        """float (B, T, C, H, W) -> float64 (B, num_class) that sum to 1: what protocols average that say so."""
        return self(clips).double().softmax(dim=1)
