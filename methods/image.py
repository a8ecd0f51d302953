"""Single frames: an image network with a classifier, trained on a list of videos or of image files."""

import torch
from torch import nn

from methods.method import Method
from networks.image_network import ImageNetwork


class Image(Method):
    """Scores frames and averages: float (B, T, 3, H, W) -> logits (B, num_class); T is 1 in training."""

    sampling = "image"
    train_crop = "random_resized"
    dense_protocol = "image-10crop"
    frames_per_segment = 1
    frames_per_view = 1

    def __init__(self, backbone: ImageNetwork, *, num_class: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(backbone.feature_dim, num_class)
        self.mean, self.std = backbone.mean, backbone.std

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        logits = self.classifier(self.dropout(self.backbone(clips.flatten(0, 1))))
        return logits.unflatten(0, (clips.shape[0], -1)).mean(dim=1)
