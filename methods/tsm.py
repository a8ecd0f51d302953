"""Temporal shift module (Lin et al., ICCV 2019, https://arxiv.org/abs/1811.08383)."""

import torch
from torch import nn

from methods.non_local import PLACES, NonLocal
from methods.temporal_pool import TemporalPool
from methods.temporal_shift import SHIFTS, TemporalShift
from methods.tsn import TSN
from networks.image_network import ImageNetwork

DEEP_STAGE = 23  # networks whose third stage is this deep are shifted in every second block only
SHIFT_PLACES = {"blockres": "before_first_conv", "block": "before_block"}  # to the slot of a block
POOLED_STAGE = 1  # the temporal pool stands in front of layer2
InTime = TemporalShift | TemporalPool | NonLocal


class TSM(TSN):
    """TSN whose residual branches see their neighbours in time: float (B, T, C, H, W) -> logits (B, num_class).

    `shift_place` "blockres": a shift stands in front of the first convolution of each residual branch (MobileNetV2: of
    the expansion), so the identity stays unshifted; "block": in front of each whole block. `shift_div` is the inverse
    of the part of the channels that moves each way, `shift` "unidirectional" moves them ahead only (online TSM).
    `non_local` adds non-local blocks to layer2 and layer3; `temporal_pool` halves the segments in front of layer2.
    """

    dense_protocol = "tsm-dense-10x3"
    frame_wise = False

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
        shift_div: int = 8,
        shift: str = "bidirectional",
        shift_place: str = "blockres",
        non_local: bool = False,
        temporal_pool: bool = False,
    ) -> None:
        super().__init__(
            backbone,
            num_class=num_class,
            num_segments=num_segments,
            dropout=dropout,
            modality=modality,
            partial_bn=partial_bn,
            consensus=consensus,
        )
        if shift_div < 2:
            raise ValueError(f"shift_div: got {shift_div}, needs at least 2: both ways together move 2 / shift_div")
        for option, value, choices in (("shift", shift, SHIFTS), ("shift_place", shift_place, SHIFT_PLACES)):
            if value not in choices:
                raise ValueError(f"{option}: got {value!r}, needs one of {', '.join(choices)}")
        if temporal_pool and (num_segments % 2 or consensus == "trn"):
            raise ValueError("temporal_pool: got True, needs an even num_segments and another consensus than trn")
        self.shift, self.shift_div, self.shift_place = shift, shift_div, shift_place
        self.non_local, self.temporal_pool = non_local, temporal_pool
        self._in_time: list[tuple[InTime, int]] = []  # what knows the number of segments, and what divides it
        self._add_shifts()
        if non_local:
            self._add_non_local()
        if temporal_pool:
            self._add_temporal_pool()

    def _segments_divided_by(self, stage: int) -> int:
        return 2 if self.temporal_pool and stage >= POOLED_STAGE else 1

    def _fill(self, block: nn.Module, slot: str, module: InTime, *, stage: int) -> None:
        setattr(block, slot, module)
        self._in_time.append((module, self._segments_divided_by(stage)))

    def _add_shifts(self) -> None:
        stages, slot = self.backbone.residual_blocks(), SHIFT_PLACES[self.shift_place]
        _check_slot(stages, slot, option="shift_place")
        deep = self.shift_place == "blockres" and any(len(stage) >= DEEP_STAGE for stage in stages)
        for number, stage in enumerate(stages):
            for block in stage[:: 2 if deep else 1]:
                _check_channels(block, self.shift_div)
                shift = SHIFTS[self.shift](num_segments=self.num_segments, shift_div=self.shift_div)
                self._fill(block, slot, shift, stage=number)
        if not self._in_time:
            raise ValueError(
                f"t: {type(self.backbone).__name__} has no block that expands, nothing to shift: needs 2 or more"
            )

    def _add_non_local(self) -> None:
        stages = self.backbone.residual_blocks()
        _check_slot(stages, "non_local", option="non_local")
        for number, places in PLACES.items():
            for block in (stages[number][place] for place in places if place < len(stages[number])):
                added = NonLocal(block.out_channels, num_segments=self.num_segments)  # type: ignore[arg-type]
                self._fill(block, "non_local", added, stage=number)

    def _add_temporal_pool(self) -> None:
        stages = self.backbone.residual_blocks()
        _check_slot(stages, "before_block", option="temporal_pool")
        first, pool = stages[POOLED_STAGE][0], TemporalPool(num_segments=self.num_segments)
        first.before_block = nn.Sequential(pool, first.get_submodule("before_block"))
        self._in_time.append((pool, 1))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        """See the class."""
        num_segments = clips.shape[1] // self.frames_per_segment
        for module, divided_by in self._in_time:
            module.num_segments = num_segments // divided_by
        return super().forward(clips)


def _check_channels(block: nn.Module, shift_div: int) -> None:
    channels = next(module for module in block.modules() if isinstance(module, nn.Conv2d)).in_channels
    if channels < shift_div:
        raise ValueError(f"shift_div: got {shift_div}, needs at most {channels}, a block's channels")


def _check_slot(stages: list[list[nn.Module]], slot: str, *, option: str) -> None:
    if not all(hasattr(block, slot) for stage in stages for block in stage):
        raise ValueError(f"{option}: got a backbone whose blocks have no place for it, needs a resnet")
