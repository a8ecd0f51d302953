"""Targets and losses: label smoothing, mixed labels, cross entropy."""

import torch
from torch.nn import functional


def soft_targets(labels: torch.Tensor, num_class: int, label_smooth: float = 0.0) -> torch.Tensor:
    """int64 labels (B,) -> float32 targets (B, K): (1 - e) on the label, e / K on all (Szegedy et al., 2016)."""
    one_hot = functional.one_hot(labels, num_class).float()
    return (1 - label_smooth) * one_hot + label_smooth / num_class


def mix(values: torch.Tensor, share: float) -> torch.Tensor:
    """mix-up (Zhang et al., 2018): `share` of each row of the batch, the rest from the batch in reverse order."""
    return share * values + (1 - share) * values.flip(0)


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross entropy of float logits (B, K) against soft targets (B, K)."""
    return functional.cross_entropy(logits, targets)
