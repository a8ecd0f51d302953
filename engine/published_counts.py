"""Parameters and GFLOPs per view that were published for the networks of our recipes, and why ours differ."""

from typing import NamedTuple


class Published(NamedTuple):
    """`parameters` in millions; `gflops` (billions of multiply-adds) of one view of `side` pixels; `source`.

    `frames` of that view, where they are not the recipe's (0). `remark` explains a difference of more than 1 %.
    """

    parameters: float
    gflops: float
    side: int
    source: str
    remark: str = ""
    frames: int = 0


MM, PAPER, PSF, PTV, TV = "MMAction2", "the paper", "PySlowFast", "PyTorchVideo", "torchvision"
# Found by counting their networks with fvcore: 25.46 of C2D + 2.5 x 0.17 = 25.89; 2.73 of X3D-S + 2.5 x 0.09 = 2.96.
NORMS = "PyTorchVideo's figure has 2.5 operations for every element of each batch norm in it"
KINETICS = "the paper's parameters are those with the 400 classes of Kinetics"
PUBLISHED: dict[str, Published] = {
    "kinetics400/tsn_r50": Published(24.33, 102.7, 224, MM, frames=25),
    "kinetics400/tsm_r50": Published(24.33, 32.88, 224, MM),
    "kinetics400/tsm_mobilenetv2": Published(
        2.736,
        3.269,
        256,
        MM,
        "MMAction2's figure is of a view of 256 pixels, with an operation for every element of each batch norm",
    ),
    "kinetics400/tsm_r50_16f": Published(24.33, 65.75, 224, MM),
    "kinetics400/tsm_nl_r50": Published(31.68, 61.30, 224, MM),
    "something_v2/tsm_r50_16f": Published(23.87, 65.75, 224, MM),
    "something_v1/tsm_r50": Published(24.3, 33.0, 224, PAPER, KINETICS),
    "something_v1/tsm_r50_16f": Published(24.3, 65.0, 224, PAPER, KINETICS),
    "something_v2/tsn_r50": Published(23.87, 32.88, 224, MM),
    "something_v2/tsm_r50": Published(23.87, 32.88, 224, MM),
    "kinetics400/slowfast_4x16_r50": Published(34.48, 36.1, 256, PAPER),
    "kinetics400/slowfast_8x8_r50": Published(34.57, 65.71, 256, PTV),
    "kinetics400/slowfast_8x8_r101": Published(62.83, 127.20, 256, PTV, NORMS),
    "kinetics400/slowfast_16x8_r101": Published(53.77, 213.0, 256, PAPER),
    "something_v2/slowfast_8x8_r50": Published(34.04, 66.60, 256, PTV, NORMS),
    "kinetics400/slow_4x16_r50": Published(32.45, 27.55, 256, PTV, NORMS),
    "kinetics400/slow_8x8_r50": Published(32.45, 54.52, 256, PTV),
    "kinetics400/c2d_8x8_r50": Published(24.33, 25.89, 256, PTV, NORMS),
    "kinetics400/i3d_8x8_r50": Published(28.04, 37.53, 256, PTV, NORMS),
    "kinetics400/r2plus1d_16x4_r50": Published(28.11, 76.45, 256, PTV, NORMS),
    "kinetics400/x3d_xs": Published(3.8, 0.60, 160, PSF),
    "kinetics400/x3d_s": Published(3.8, 1.96, 160, PSF),
    "kinetics400/x3d_m": Published(3.8, 4.73, 224, PSF),
    "kinetics400/x3d_l": Published(6.15, 18.37, 312, PSF),
    "kinetics400/clip_r3d_18": Published(33.37, 40.70, 112, TV),
    "kinetics400/clip_mc3_18": Published(11.70, 43.34, 112, TV),
    "kinetics400/clip_r2plus1d_18": Published(31.51, 40.52, 112, TV),
    "kinetics400/clip_s3d": Published(8.32, 17.98, 224, TV, frames=16),
    "kinetics400/clip_mvit_v1_b": Published(36.61, 70.60, 224, TV),
    "kinetics400/clip_mvit_v2_s": Published(34.54, 64.22, 224, TV),
    "kinetics400/clip_swin3d_t": Published(28.16, 43.88, 224, TV, frames=16),
}
