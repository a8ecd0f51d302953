"""Mistakes that only show between two keys of the config, or inside the list of one."""

import re
from collections.abc import Iterator
from itertools import pairwise

from utils.config_schema import AugmentationConfig, Config, LrSchedulerConfig, SourceConfig
from utils.errors import Mistake

CHANNELS = {"RGB": 3, "RGBDiff": 3, "Flow": 2}
_HOST = re.compile(r"\[[0-9a-fA-F:.]+\]|[^:/\s\[\]]+")
_FRAME_NUMBER = re.compile(r"\{(?::0?[0-9]{0,2}d)?\}")


def _default(section: type, key: str) -> object:
    """The value of a key that isn't written."""
    return section.model_fields[key].get_default(call_default_factory=True)  # type: ignore[attr-defined]


def _unused(
    section: AugmentationConfig | Config | LrSchedulerConfig, keys: str, prefix: str, why: str
) -> Iterator[Mistake]:
    """A value other than the default that nothing would read."""
    for key in keys.split():
        value = getattr(section, key)
        if value != _default(type(section), key):
            yield Mistake(prefix + key, f"got {value!r}, but {why}; remove it")


def warm_up(config: Config) -> Iterator[Mistake]:
    """Length and end of the warm-up."""
    rates = config.lr_scheduler
    if rates.warmup_steps >= rates.max_iter:
        yield Mistake(
            "lr_scheduler.warmup_steps", f"got {rates.warmup_steps}, needs less than max_iter ({rates.max_iter})"
        )
    if rates.warmup_lr is not None and rates.warmup_lr != rates.base_lr and not rates.warmup_steps:
        yield Mistake(
            "lr_scheduler.warmup_lr",
            f"got {rates.warmup_lr}, but warmup_steps is 0: set warmup_steps, or base_lr to this rate",
        )
    start = rates.base_lr if rates.warmup_lr is None else rates.warmup_lr
    if rates.min_lr > start:
        yield Mistake(
            "lr_scheduler.min_lr", f"got {rates.min_lr}, needs at most the rate that the schedule starts from ({start})"
        )


def schedule_shape(config: Config) -> Iterator[Mistake]:
    """Keys that belong to another type of schedule, and the steps of STEP."""
    rates = config.lr_scheduler
    if rates.type != "POLY":
        yield from _unused(rates, "power", "lr_scheduler.", f"power is not used by {rates.type}")
    if rates.type != "STEP":
        for key in ("lr_steps", "lr_mults"):
            yield from _unused(rates, key, "lr_scheduler.", f"{key} is not used by {rates.type}")
        return
    yield from _unused(rates, "min_lr", "lr_scheduler.", "min_lr is not used by STEP")
    if not rates.lr_steps:
        yield Mistake("lr_scheduler.lr_steps", "got none, needs the iterations at which STEP changes the rate")
    elif len(rates.lr_mults) != len(rates.lr_steps):
        yield Mistake(
            "lr_scheduler.lr_mults",
            f"got {len(rates.lr_mults)} factors, needs one for each of the {len(rates.lr_steps)} lr_steps",
        )
    if any(later <= earlier for earlier, later in pairwise(rates.lr_steps)):
        yield Mistake("lr_scheduler.lr_steps", f"got {rates.lr_steps}, needs increasing iterations")
    elif rates.lr_steps and rates.lr_steps[-1] >= rates.max_iter:
        yield Mistake("lr_scheduler.lr_steps", f"got {rates.lr_steps[-1]}, needs less than max_iter ({rates.max_iter})")
    elif rates.lr_steps and rates.lr_steps[0] < rates.warmup_steps:
        yield Mistake(
            "lr_scheduler.lr_steps", f"got {rates.lr_steps[0]}, needs at least warmup_steps ({rates.warmup_steps})"
        )


def sizes(config: Config) -> Iterator[Mistake]:
    """Crops have to lie inside what they are cut from."""
    augmentation = config.augmentation
    if augmentation.test_resize < augmentation.input_size:
        yield Mistake(
            "augmentation.test_resize",
            f"got {augmentation.test_resize}, needs at least input_size "
            f"({augmentation.input_size}), the crop that is cut from it",
        )
    low, high = augmentation.jitter_sizes
    chosen = low != high and [low, high] != _default(AugmentationConfig, "jitter_sizes")
    if low > high:
        yield Mistake("augmentation.jitter_sizes", f"got {[low, high]}, needs the smaller one first")
    elif low < augmentation.input_size and (augmentation.crop == "scale_jitter" or chosen):
        yield Mistake("augmentation.jitter_sizes", f"got {low}, needs at least input_size ({augmentation.input_size})")


def colour_and_erasing(config: Config) -> Iterator[Mistake]:
    """Ranges inside the lists of colour jitter and random erasing."""
    jitter, erasing = config.augmentation.colorjitter, config.augmentation.random_erasing
    if jitter and jitter[3] > 0.5:
        yield Mistake("augmentation.colorjitter", f"got a hue of {jitter[3]}, needs at most 0.5 (half the circle)")
    if not erasing:
        return
    probability, smallest, largest, aspect = erasing
    if probability > 1:
        yield Mistake("augmentation.random_erasing", f"got a probability of {probability}, needs at most 1")
    if not 0 < smallest <= largest <= 1:
        yield Mistake(
            "augmentation.random_erasing",
            f"got areas of {smallest} to {largest}, needs the smaller one first, both above 0 and at most 1",
        )
    if not 0 < aspect <= 1:
        yield Mistake(
            "augmentation.random_erasing",
            f"got a smallest aspect of {aspect}, needs above 0 and at most 1",
        )


def mirrored_labels(config: Config) -> Iterator[Mistake]:
    """flip_label_map pairs labels that exist."""
    mapping, num_class = config.augmentation.flip_label_map, config.model.num_class
    strange = [label for pair in mapping.items() for label in pair if not 0 <= label < num_class]
    if strange:
        yield Mistake(
            "augmentation.flip_label_map", f"got the label {strange[0]}, needs 0 to num_class - 1 ({num_class - 1})"
        )
    lonely = [label for label, mirrored in mapping.items() if mapping.get(mirrored, mirrored) != label]
    if lonely:
        label = lonely[0]
        yield Mistake(
            "augmentation.flip_label_map",
            f"got {label}: {mapping[label]} without the way back; needs {mapping[label]}: {label} too",
        )
    if config.augmentation.flip == 0:
        yield from _unused(config.augmentation, "flip_label_map", "augmentation.", "flip is 0: no clip is mirrored")


def normalisation(config: Config) -> Iterator[Mistake]:
    """One mean and one standard deviation per channel."""
    channels = CHANNELS[config.model.modality]
    for key in ("mean", "std"):
        values = getattr(config.augmentation, key)
        if values is not None and len(values) != channels:
            yield Mistake(
                f"augmentation.{key}",
                f"got {len(values)} values, needs {channels}, one per channel of {config.model.modality}",
            )


def mixing(config: Config) -> Iterator[Mistake]:
    """Mix-up needs a partner."""
    if config.augmentation.mix_up and config.batch_size == 1:
        yield Mistake("augmentation.mix_up", "got mix-up with a batch_size of 1, needs at least 2 clips to mix")


def optimiser(config: Config) -> Iterator[Mistake]:
    """Keys of SGD."""
    if config.optimizer != "SGD":
        yield from _unused(config, "momentum nesterov", "", f"it is not used by {config.optimizer}")
    elif config.nesterov and config.momentum == 0:
        yield Mistake("nesterov", "got True with a momentum of 0, needs momentum above 0")


def evaluation(config: Config) -> Iterator[Mistake]:
    """One protocol, named once."""
    if config.val_dense and config.val_protocol:
        yield Mistake("val_protocol", f"got {config.val_protocol!r} together with val_dense: True; remove one of them")


def frame_names(config: Config) -> Iterator[Mistake]:
    """image_tmpl names one frame per number."""
    template = config.image_tmpl
    if template is None:
        return
    if config.source.type != SourceConfig.model_fields["type"].default:
        yield Mistake("image_tmpl", f"got {template!r}, but source is {config.source.type}: it has no frame names")
        return
    allowed = (1, 2) if config.model.modality == "Flow" else (1,)
    if len(allowed) == 2:
        template = template.replace("{axis}", "{}", 1)
    rest = _FRAME_NUMBER.sub("", template)
    if "{" in rest or "}" in rest or len(_FRAME_NUMBER.findall(template)) not in allowed:
        example = "flow_{}_{:05d}.jpg" if len(allowed) == 2 else "img_{:05d}.jpg"
        yield Mistake("image_tmpl", f"got {template!r}, needs a name with the place of the number, such as {example}")


def memcached_servers(config: Config) -> Iterator[Mistake]:
    """Every server has a host and a port, and stands there once."""
    servers = config.source.memcached
    for server in servers:
        host, _, port = server.rpartition(":")
        if not _HOST.fullmatch(host) or not port.isdecimal() or not 1 <= int(port) <= 65535:
            yield Mistake("source.memcached", f"got {server!r}, needs host:port, such as node7:11211")
    twice = sorted({server for server in servers if servers.count(server) > 1})
    if twice:
        yield Mistake("source.memcached", f"got {twice[0]!r} twice; remove one of them")


def decoding(config: Config) -> Iterator[Mistake]:
    """The device decodes pictures of RGB."""
    if config.source.decode != "device":
        return
    if config.source.type == "video":
        yield Mistake("source.decode", "got device, but source.type is video: it has no JPEGs; set it to cpu")
    if config.model.modality == "Flow":
        yield Mistake("source.decode", "got device, but modality is Flow, whose frames are two pictures; set it to cpu")


RULES = (
    warm_up,
    schedule_shape,
    sizes,
    colour_and_erasing,
    mirrored_labels,
    normalisation,
    mixing,
    optimiser,
    evaluation,
    frame_names,
    memcached_servers,
    decoding,
)


def rule_mistakes(config: Config) -> list[Mistake]:
    """What all rules have to say about a config whose keys are right one by one."""
    return [mistake for rule in RULES for mistake in rule(config)]
