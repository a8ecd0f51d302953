"""3D networks of one pathway. They differ in their networks (networks/resnet3d.py, networks/x3d.py) and papers."""

from methods.clip_method import ClipMethod


class Slow(ClipMethod):
    """SlowFast's slow pathway alone (Feichtenhofer et al., ICCV 2019, https://arxiv.org/abs/1812.03982).

    Published as 4x16 and 8x8 (`num_frames` x `stride`); time is looked at from res4 on.
    """


class Fast(ClipMethod):
    """SlowFast's fast pathway alone (Feichtenhofer et al., ICCV 2019, https://arxiv.org/abs/1812.03982): 32x2."""


class C2D(ClipMethod):
    """A 2D ResNet whose frames are joined in pairs after res2 (Wang et al., CVPR 2018, arXiv:1711.07971): 8x8."""


class I3D(ClipMethod):
    """Inflated 3D ResNet (Carreira & Zisserman, CVPR 2017, arXiv:1705.07750).

    As ResNet-50 by Wang et al. (CVPR 2018, https://arxiv.org/abs/1711.07971): 3x1x1 convolutions in every second
    block, 8x8 frames (PySlowFast) or 32x2 with `stem_stride`, `pool1_stride` 2 (mmaction2).
    """


class R2Plus1D(ClipMethod):
    """3D convolutions split into space and time (Tran et al., CVPR 2018, https://arxiv.org/abs/1711.11248): 16x4."""


class X3D(ClipMethod):
    """Networks expanded one axis at a time (Feichtenhofer, CVPR 2020, https://arxiv.org/abs/2004.04730).

    `num_frames` x `stride` at input size: XS 4x12 at 160, S 13x6 at 160, M 16x5 at 224, L 16x5 at 312.
    """
