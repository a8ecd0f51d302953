"""Temporal segment networks (Wang et al., ECCV 2016, https://arxiv.org/abs/1608.00859)."""

import torch
from torch import nn

from methods.consensus import CONSENSUS
from methods.method import Method
from methods.modality import MODALITIES, stack_segments
from methods.partial_bn import freeze_all_but_first_bn
from networks.image_network import ImageNetwork


class TSN(Method):
    """Scores each segment by an image network and averages: float (B, T, C, H, W) -> logits (B, num_class).

    T is a multiple of `frames_per_segment`: `num_segments` of them in training, any number in evaluation.
    `partial_bn` freezes all batch norms but the first. `consensus`: the segments' "average", "max", or the relations
    between them, "trn", which take `num_segments` always.
    """

    sampling = "segments"
    train_crop = "multi_scale"
    dense_protocol = "tsn-25x10"
    frame_wise = True
    backbone: ImageNetwork

    def __init__(
        self,
        backbone: ImageNetwork,
        *,
        num_class: int,
        num_segments: int = 8,
        dropout: float = 0.5,
        modality: str = "RGB",
        partial_bn: bool = False,
        consensus: str = "average",
    ) -> None:
        super().__init__()
        if consensus not in CONSENSUS:
            raise ValueError(f"consensus: got {consensus!r}, needs one of {', '.join(CONSENSUS)}")
        if consensus == "trn":
            self.dense_protocol = "tsm-8x10crop"
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.consensus = CONSENSUS[consensus](feature_dim=backbone.feature_dim, num_segments=num_segments)
        self.classifier = nn.Linear(self.consensus.feature_dim, num_class)
        nn.init.normal_(self.classifier.weight, std=self.consensus.classifier_std)
        nn.init.zeros_(self.classifier.bias)
        self.num_segments = num_segments
        self.modality = modality
        self.partial_bn = partial_bn
        self.frames_per_segment = MODALITIES[modality].frames_per_segment
        self.frames_per_view = num_segments * self.frames_per_segment
        colours = backbone if modality == "RGB" else MODALITIES[modality]
        self.mean, self.std = colours.mean, colours.std

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.from_features(self.features(clips))

    def features(self, clips: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        features = self.dropout(self.backbone(stack_segments(clips, self.modality)))
        return features.unflatten(0, (clips.shape[0], -1))

    def from_features(self, features: torch.Tensor) -> torch.Tensor:
        """See `Method`."""
        return self.consensus(features, self.classifier)

    def train(self, mode: bool = True) -> "TSN":
        """As nn.Module's; keeps partial BN's layers in evaluation mode."""
        super().train(mode)
        if mode and self.partial_bn:
            freeze_all_but_first_bn(self.backbone)
        return self
