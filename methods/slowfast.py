"""SlowFast networks (Feichtenhofer et al., ICCV 2019, https://arxiv.org/abs/1812.03982)."""

import torch
from torch import nn

from methods.method import Method
from networks.slowfast_resnet import SlowFastResNet

SLOW_FRAMES = ("linspace", "strided")


class SlowFast(Method):
    """Two rates of one clip through two pathways: float (B, T, 3, H, W) -> logits (B, num_class).

    The fast pathway sees all `num_frames` frames, the slow one every `alpha`-th: `slow_frames` "linspace" spreads
    them from the first to the last as PySlowFast does, "strided" takes 0, alpha, 2 alpha ... as mmaction2 does.
    """

    sampling = "clip"
    train_crop = "scale_jitter"
    dense_protocol = "slowfast-10x3"
    frames_per_segment = 1
    mean, std = (0.45, 0.45, 0.45), (0.225, 0.225, 0.225)

    def __init__(
        self,
        backbone: SlowFastResNet,
        *,
        num_class: int,
        num_frames: int = 32,
        stride: int = 2,
        dropout: float = 0.5,
        alpha: int = 8,
        slow_frames: str = "linspace",
    ) -> None:
        super().__init__()
        if alpha < 1 or num_frames % alpha != 0:
            raise ValueError(f"alpha: got {alpha}, needs a divisor of num_frames {num_frames}")
        if slow_frames not in SLOW_FRAMES:
            raise ValueError(f"slow_frames: got {slow_frames!r}, needs one of {', '.join(SLOW_FRAMES)}")
        self.backbone = backbone
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(backbone.feature_dim, num_class)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        self.num_frames, self.stride, self.alpha = num_frames, stride, alpha
        self.slow_frames = slow_frames
        self.frames_per_view = num_frames

    def slow_indices(self, num_frames: int) -> torch.Tensor:
        """Which of a clip's frames the slow pathway sees."""
        if self.slow_frames == "strided":
            return torch.arange(0, num_frames, self.alpha)
        return torch.linspace(0, num_frames - 1, num_frames // self.alpha).long()

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        fast = clips.transpose(1, 2)  # B C T H W; channels-last memory stays channels-last
        slow = fast[:, :, self.slow_indices(clips.shape[1]).to(clips.device)]
        return self.classifier(self.dropout(self.backbone(slow, fast)))
