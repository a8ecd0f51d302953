"""Temporal shift module (Lin et al., ICCV 2019, https://arxiv.org/abs/1811.08383)."""

import torch

from methods.temporal_shift import TemporalShift
from methods.tsn import TSN
from networks.image_network import ImageNetwork

DEEP_STAGE = 23  # networks whose third stage is this deep are shifted in every second block only


class TSM(TSN):
    """TSN whose residual branches see their neighbours in time: float (B, T, C, H, W) -> logits (B, num_class).

    A shift stands in front of the first convolution of each residual branch (MobileNetV2: of the expansion), so the
    identity stays unshifted; `shift_div` is the inverse of the part of the channels that moves each way.
    """

    dense_protocol = "tsm-dense-10x3"

    def __init__(
        self,
        backbone: ImageNetwork,
        *,
        num_class: int,
        num_segments: int = 8,
        dropout: float = 0.5,
        modality: str = "RGB",
        partial_bn: bool = False,
        shift_div: int = 8,
    ) -> None:
        super().__init__(
            backbone,
            num_class=num_class,
            num_segments=num_segments,
            dropout=dropout,
            modality=modality,
            partial_bn=partial_bn,
        )
        if shift_div < 2:
            raise ValueError(f"shift_div: got {shift_div}, needs at least 2: both ways together move 2 / shift_div")
        stages = backbone.residual_blocks()
        every = 2 if any(len(stage) >= DEEP_STAGE for stage in stages) else 1
        self._shifts: list[TemporalShift] = []
        for stage in stages:
            for block in stage[::every]:
                block.before_first_conv = TemporalShift(num_segments=num_segments, shift_div=shift_div)
                self._shifts.append(block.before_first_conv)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        num_segments = clips.shape[1] // self.frames_per_segment
        for shift in self._shifts:
            shift.num_segments = num_segments
        return super().forward(clips)
