"""Temporal segment networks (Wang et al., ECCV 2016, https://arxiv.org/abs/1608.00859)."""

import torch
from torch import nn

from methods.method import Method
from methods.modality import MODALITIES, stack_segments
from methods.partial_bn import freeze_all_but_first_bn
from networks.image_network import ImageNetwork


class TSN(Method):
    """Scores each segment by an image network and averages: float (B, T, C, H, W) -> logits (B, num_class).

    T is a multiple of `frames_per_segment`: `num_segments` of them in training, any number in evaluation.
    `partial_bn` freezes all batch norms but the first.
    """

    sampling = "segments"
    train_crop = "multi_scale"
    dense_protocol = "tsn-25x10"

    def __init__(
        self,
        backbone: ImageNetwork,
        *,
        num_class: int,
        num_segments: int = 8,
        dropout: float = 0.5,
        modality: str = "RGB",
        partial_bn: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(backbone.feature_dim, num_class)
        nn.init.normal_(self.classifier.weight, std=0.001)
        nn.init.zeros_(self.classifier.bias)
        self.num_segments = num_segments
        self.modality = modality
        self.partial_bn = partial_bn
        self.frames_per_segment = MODALITIES[modality].frames_per_segment
        self.frames_per_view = num_segments * self.frames_per_segment
        self.mean, self.std = MODALITIES[modality].mean, MODALITIES[modality].std

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        features = self.backbone(stack_segments(clips, self.modality))
        logits = self.classifier(self.dropout(features))
        return logits.unflatten(0, (len(clips), -1)).mean(dim=1)

    def train(self, mode: bool = True) -> "TSN":
        """As nn.Module's; keeps partial BN's layers in evaluation mode."""
        super().train(mode)
        if mode and self.partial_bn:
            freeze_all_but_first_bn(self.backbone)
        return self
