"""Every key of an experiment's config.yaml with its type, range and default; `docs/config.md` is made from here.

The names of methods, backbones and protocols, and the content of `kwargs`, are checked by their owners
(`methods.kwargs_mistakes`, `engine.preflight`), because imports only point down.
"""

from typing import Annotated, Any, Literal

from easydict import EasyDict
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

Fraction = Annotated[FiniteFloat, Field(ge=0, le=1)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Text = Annotated[str, Field(min_length=1)]


def _options(values: dict[str, Any]) -> EasyDict:
    """Options by attribute; a name that would hide one of a dict's own methods can't be an option's."""
    levels: list[Any] = [values]
    for level in levels:
        levels.extend(part for part in (level.values() if isinstance(level, dict) else level) if _has_parts(part))
        for name in level if isinstance(level, dict) else ():
            if not isinstance(name, str) or not name.isidentifier() or hasattr(EasyDict, name):
                raise ValueError(f"{name!r} can't be the name of an option")
    return EasyDict(values)


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict | list)


class Section(BaseModel):
    """A section of the config: typed, no key beyond the ones it declares, no quiet conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class ModelConfig(Section):
    """common.model"""

    type: Text = Field(description="the method: tsn, tsm, slowfast, slow, fast, c2d, i3d, r2plus1d, x3d, clip, image")
    backbone: Text = Field(
        description="resnet18, 34, 50, 101, 152, resnext50_32x4d, resnext101_32x8d, wide_resnet50_2, wide_resnet101_2, "
        "mobilenetv2, timm/<any network of timm> (tsm: like ResNet, MobileNet or ConvNeXt); slowfast, slow, fast, c2d, "
        "i3d: resnet18, 50, 101; r2plus1d: resnet50, 101; x3d: x3d_xs, x3d_s, x3d_m, x3d_l; clip: r3d_18, mc3_18, "
        "r2plus1d_18, s3d, mvit_v1_b, mvit_v2_s, swin3d_t"
    )
    num_class: Count = Field(description="number of classes; labels run from 0 to num_class - 1")
    num_segments: Count = Field(
        default=8, description="tsn, tsm: frames (stacks of frames for Flow) a clip is sampled to"
    )
    num_frames: Count = Field(default=32, description="methods of clips (slowfast to clip): frames of a clip")
    stride: Count = Field(
        default=2, description="methods of clips: distance between two frames of a clip, in stored frames"
    )
    dropout: Annotated[FiniteFloat, Field(ge=0, lt=1)] = Field(
        default=0.5, description="rate in front of the classifier"
    )
    pretrained: bool | Text = Field(
        default=True,
        description="True: the backbone's file in pretrained/, of ImageNet (clip: of Kinetics-400); "
        "a path: that checkpoint; False: random",
    )
    modality: Literal["RGB", "Flow", "RGBDiff"] = Field(
        default="RGB", description="what the frames are; RGBDiff is made from RGB"
    )
    kwargs: Annotated[dict[str, Any], AfterValidator(_options)] = Field(
        default_factory=EasyDict, description="options of the method, the backbone and sync-BN (second table)"
    )


class AugmentationConfig(Section):
    """common.augmentation"""

    input_size: Count = Field(default=224, description="side of the square that the network sees, in pixels")
    test_resize: Count = Field(
        default=256, description="evaluation: short side that a frame is resized to before its crop"
    )
    crop: Literal["multi_scale", "scale_jitter", "random_resized"] | None = Field(
        default=None,
        description="training crop; by default the method's own: TSN's multi_scale, SlowFast's scale_jitter",
    )
    scales: Annotated[list[Annotated[FiniteFloat, Field(gt=0, le=1)]], Field(min_length=1)] = Field(
        default_factory=lambda: [1.0, 0.875, 0.75, 0.66], description="multi_scale: sides, as parts of the short side"
    )
    jitter_sizes: Annotated[list[Count], Field(min_length=2, max_length=2)] = Field(
        default_factory=lambda: [256, 320], description="scale_jitter: range of the short side, in pixels"
    )
    flip: Fraction = Field(
        default=0.5, description="probability that a clip is mirrored; 0 where left and right are classes"
    )
    flip_label_map: dict[int, int] = Field(
        default_factory=dict, description="label that a label becomes when its clip is mirrored, e.g. {3: 4, 4: 3}"
    )
    colorjitter: Annotated[list[NotNegative], Field(min_length=4, max_length=4)] | None = Field(
        default=None, description="brightness, contrast, saturation, hue: half-widths of the random factors"
    )
    random_erasing: Annotated[list[NotNegative], Field(min_length=4, max_length=4)] | None = Field(
        default=None, description="probability, smallest area, largest area (parts of the frame), smallest aspect"
    )
    mix_up: NotNegative = Field(default=0.0, description="alpha of the Beta distribution; 0: no mix-up")
    mean: Annotated[list[Fraction], Field(min_length=1)] | None = Field(
        default=None, description="per channel, on a scale of 0 to 1; by default what the method was published with"
    )
    std: Annotated[list[Positive], Field(min_length=1)] | None = Field(default=None, description="as mean")


class LrSchedulerConfig(Section):
    """common.lr_scheduler; all lengths are iterations"""

    type: Literal["COSINE", "STEP", "POLY"] = Field(default="COSINE", description="shape after the warm-up")
    base_lr: Positive = Field(description="rate at iteration 0")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(default=0, description="iterations of linear warm-up")
    warmup_lr: Positive | None = Field(
        default=None,
        description="rate reached at the end of the warm-up, from which the schedule starts; default base_lr",
    )
    min_lr: NotNegative = Field(default=0.0, description="COSINE, POLY: rate at max_iter")
    max_iter: Count = Field(description="iterations of the whole run")
    lr_steps: list[Count] = Field(default_factory=list, description="STEP: iterations at which the rate changes")
    lr_mults: list[Positive] = Field(default_factory=list, description="STEP: factor at each of them")
    power: Positive = Field(default=1.0, description="POLY: exponent")


class SourceConfig(Section):
    """common.source"""

    type: Literal["folder", "lmdb", "video"] = Field(
        default="folder",
        description="folder: a folder of JPEGs per video; lmdb: a file of pack_frames, which train_root and val_root "
        "name; video: video files, decoded directly",
    )
    memcached: list[Text] = Field(
        default_factory=list,
        description="servers in front of it, host:port each; frames they don't have are read and given to them",
    )
    decode: Literal["cpu", "device"] = Field(
        default="cpu",
        description="device: JPEGs of training clips are handed over as they are, and decoded, cut and resized on the "
        "GPU; evaluation decodes on the CPU",
    )
    outside_root: bool = Field(
        default=False, description="True: list paths may be absolute, hold .., or lead out of the root by a link"
    )


class BadDataConfig(Section):
    """common.bad_data; evaluation always stops at broken data"""

    train: Literal["skip", "stop"] = Field(
        default="skip", description="skip: a broken video is named in the log and another drawn; stop: the run ends"
    )
    limit: Annotated[int, Field(ge=0)] = Field(
        default=10, description="skip: the run ends after this many broken videos"
    )


class Config(Section):
    """What stands under `common:`."""

    model: ModelConfig
    augmentation: AugmentationConfig = AugmentationConfig()
    val_dense: bool = Field(
        default=False, description="True: evaluate by the method's published dense protocol; False: centre"
    )
    val_protocol: Text | None = Field(
        default=None, description="evaluate by this named protocol; val_dense is False then"
    )
    protocols: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="evaluation protocols of your own, each a name with keys (docs/analysis.md)"
    )
    val_batch_size: Count | None = Field(
        default=None, description="views per evaluation batch and rank; default: the pixels of a training batch"
    )
    workers: Annotated[int, Field(ge=0)] = Field(default=4, description="loader processes per rank")
    batch_size: Count = Field(description="clips per rank and step")
    accumulate: Count = Field(default=1, description="batches whose gradients are averaged into one iteration")
    lr_scheduler: LrSchedulerConfig
    optimizer: Literal["SGD", "ADAMW"] = Field(default="SGD", description="SGD, or decoupled AdamW (0.9, 0.999)")
    parameter_policy: Literal["plain", "tsm"] = Field(
        default="plain",
        description="tsm: rates of TSN and TSM by kind of parameter (biases x 2, classifier x 5 and x 10)",
    )
    no_wd: bool = Field(default=False, description="no weight decay on biases and normalisation parameters")
    momentum: Annotated[FiniteFloat, Field(ge=0, lt=1)] = Field(default=0.9, description="SGD's")
    weight_decay: NotNegative = Field(default=1e-4, description="L2 factor")
    nesterov: bool = Field(default=False, description="SGD's")
    clip_gradient: Positive | None = Field(default=None, description="largest L2 norm of all gradients together")
    label_smooth: Annotated[FiniteFloat, Field(ge=0, lt=1)] = Field(
        default=0.0, description="(1 - e) on the label + e / K on all"
    )
    ema: Annotated[FiniteFloat, Field(gt=0, lt=1)] | None = Field(
        default=None, description="decay of an average of the weights that is evaluated in their place, e.g. 0.9999"
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(default="fp32", description="of the forward and backward pass")
    channels_last: bool = Field(default=True, description="memory layout of convolutions")
    compile: bool = Field(default=False, description="torch.compile the method")
    seed: Annotated[int, Field(ge=0)] = Field(default=0, description="of every random number of the run")
    val_freq: Count = Field(default=1000, description="iterations between two evaluations; one more at the end")
    print_freq: Count = Field(default=10, description="iterations between two lines in log.txt")
    ckpt_freq: Count | None = Field(default=None, description="iterations between two checkpoints; default val_freq")
    keep: Count = Field(
        default=2, description="checkpoints kept: the latest, and the ones before it that stand in for a damaged one"
    )
    save_in_background: bool = Field(
        default=True, description="write checkpoints while training goes on; takes CPU memory for a copy of the state"
    )
    failed_save: Literal["stop", "continue"] = Field(
        default="stop",
        description="a checkpoint can't be written (disk full): stop: the run ends; continue: a warning, and the next "
        "save tries again",
    )
    train_root: Text = Field(description="folder that the paths of train_source start from")
    train_source: Text = Field(description="list file of the training videos: path num_frames label")
    val_root: Text = Field(description="folder that the paths of val_source start from")
    val_source: Text = Field(description="list file of the evaluation videos")
    image_tmpl: Text | None = Field(
        default=None, description="name of frame number n, e.g. img_{:05d}.jpg; by default read off the first folder"
    )
    source: SourceConfig = SourceConfig()
    bad_data: BadDataConfig = BadDataConfig()
    timeout: Positive = Field(
        default=10.0,
        description="minutes after which a rank that does not answer ends the run; a stuck loader worker: half of that",
    )
