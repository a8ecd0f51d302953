"""torchvision's video models (networks/torchvision_video.py), with their Kinetics-400 weights."""

from methods.clip_method import ClipMethod
from networks.torchvision_video import TorchvisionVideo


class Clip(ClipMethod):
    """One clip through one of torchvision's video models: float (B, T, 3, H, W) -> logits (B, num_class).

    r3d_18, mc3_18, r2plus1d_18: Tran et al., CVPR 2018, https://arxiv.org/abs/1711.11248; s3d: Xie et al., ECCV 2018,
    https://arxiv.org/abs/1712.04851; mvit_v1_b: Fan et al., ICCV 2021, https://arxiv.org/abs/2104.11227; mvit_v2_s:
    Li et al., CVPR 2022, https://arxiv.org/abs/2112.01526; swin3d_t: Liu et al., CVPR 2022,
    https://arxiv.org/abs/2106.13230. `dropout` stands in front of the classifier, behind all pooling.
    """

    def __init__(
        self,
        backbone: TorchvisionVideo,
        *,
        num_class: int,
        num_frames: int = 16,
        stride: int = 2,
        dropout: float = 0.5,
    ) -> None:
        published = backbone.published
        if published.only_frames and num_frames != published.num_frames:
            raise ValueError(f"num_frames: got {num_frames}, {backbone.name} needs {published.num_frames}")
        super().__init__(backbone, num_class=num_class, num_frames=num_frames, stride=stride, dropout=dropout)
        self.mean, self.std = backbone.mean, backbone.std
