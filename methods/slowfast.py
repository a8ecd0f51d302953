"""SlowFast networks (Feichtenhofer et al., ICCV 2019, https://arxiv.org/abs/1812.03982)."""

import torch

from methods.clip_method import ClipMethod
from networks.slowfast_resnet import SlowFastResNet

SLOW_FRAMES = ("linspace", "strided")


class SlowFast(ClipMethod):
    """Two rates of one clip through two pathways: float (B, T, 3, H, W) -> logits (B, num_class).

    The fast pathway sees all `num_frames` frames, the slow one every `alpha`-th: `slow_frames` "linspace" spreads
    them from the first to the last as PySlowFast does, "strided" takes 0, alpha, 2 alpha ... as mmaction2 does.
    """

    def __init__(
        self,
        backbone: SlowFastResNet,
        *,
        num_class: int,
        num_frames: int = 32,
        stride: int = 2,
        dropout: float = 0.5,
        average_positions: str = "probabilities",
        alpha: int = 8,
        slow_frames: str = "linspace",
    ) -> None:
        if alpha < 1 or num_frames % alpha != 0:
            raise ValueError(f"alpha: got {alpha}, needs a divisor of num_frames {num_frames}")
        if slow_frames not in SLOW_FRAMES:
            raise ValueError(f"slow_frames: got {slow_frames!r}, needs one of {', '.join(SLOW_FRAMES)}")
        super().__init__(
            backbone,
            num_class=num_class,
            num_frames=num_frames,
            stride=stride,
            dropout=dropout,
            average_positions=average_positions,
        )
        self.alpha, self.slow_frames = alpha, slow_frames

    def slow_indices(self, num_frames: int) -> torch.Tensor:
        """Which of a clip's frames the slow pathway sees."""
        if self.slow_frames == "strided":
            return torch.arange(0, num_frames, self.alpha)
        return torch.linspace(0, num_frames - 1, num_frames // self.alpha).long()

    def pathway_frames(self, num_frames: int) -> dict[str, torch.Tensor]:
        """Which of a clip's frames the slow pathway sees, and the fast one."""
        return {"slow": self.slow_indices(num_frames), "fast": torch.arange(num_frames)}

    def pathways(self, clips: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The slow pathway's frames and the fast one's, each (B, C, T, H, W)."""
        fast = clips.transpose(1, 2)  # channels-last memory stays channels-last
        slow = fast[:, :, self.slow_indices(clips.shape[1]).to(clips.device)]
        return slow, fast
