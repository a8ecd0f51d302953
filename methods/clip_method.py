"""What methods share that look at one clip of evenly spaced frames: `num_frames` of them, `stride` apart."""

import torch
from torch import nn

from methods.method import Method

POSITION_AVERAGES = ("probabilities", "logits")


class ClipMethod(Method):
    """One clip through a 3D network and a linear classifier: float (B, T, 3, H, W) -> logits (B, num_class).

    Where the network's head is a window (`head_pool`) smaller than the feature maps, there are P positions. `forward`
    gives the mean of their logits; `average_positions` says what `probabilities`, which protocols that average
    probabilities use, is the mean of: each position's softmax (PySlowFast), or logits, whose softmax follows.
    """

    sampling = "clip"
    train_crop = "scale_jitter"
    dense_protocol = "slowfast-10x3"
    frames_per_segment = 1
    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

    def __init__(
        self,
        backbone: nn.Module,
        *,
        num_class: int,
        num_frames: int = 32,
        stride: int = 2,
        dropout: float = 0.5,
        average_positions: str = "probabilities",
    ) -> None:
        super().__init__()
        if average_positions not in POSITION_AVERAGES:
            needs = " or ".join(POSITION_AVERAGES)
            raise ValueError(f"average_positions: got {average_positions!r}, needs {needs}")
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(backbone.feature_dim, num_class)  # type: ignore[arg-type]
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        self.num_frames, self.stride = num_frames, stride
        self.average_positions = average_positions
        self.frames_per_view = num_frames

    def pathway_frames(self, num_frames: int) -> dict[str, torch.Tensor]:
        """Which of a clip's frames each pathway sees, by its name, in the order of the network's inputs."""
        return {"": torch.arange(num_frames)}

    def pathways(self, clips: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The network's inputs, each (B, C, T, H, W); channels-last memory stays channels-last."""
        return (clips.transpose(1, 2),)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.classifier(self.dropout(self.backbone(*self.pathways(clips))))

    def probabilities(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        if self.average_positions == "logits":
            return super().probabilities(clips)
        positions = self.backbone.positions(*self.pathways(clips))  # type: ignore[operator]
        return self.classifier(positions).double().softmax(dim=2).mean(dim=1)
