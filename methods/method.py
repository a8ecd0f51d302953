"""What every method offers beside `forward`: the engine builds loaders and protocols from it."""

import torch
from torch import nn


class Method(nn.Module):
    """float (B, T, C, H, W) -> logits (B, num_class).

    `sampling`: how its clips are chosen, "segments", "clip" or "image"; `frames_per_segment`: frames in a row at each
    chosen place; `frames_per_view`: T in training; `train_crop`: its usual training crop; `dense_protocol`: what
    `val_dense` means for it; `mean`, `std`: per channel, on a scale of 0 to 1; `classifier`: its last layer.
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

    def probabilities(self, clips: torch.Tensor) -> torch.Tensor:
        """float (B, T, C, H, W) -> float64 (B, num_class) that sum to 1: what protocols average that say so."""
        return self(clips).double().softmax(dim=1)
