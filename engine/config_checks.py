"""What of the config the engine itself takes: the options of sync-BN and the name of the protocol."""

from datasets.protocol_rules import ALIASES, PROTOCOLS, own_mistakes, unknown_name
from methods import METHODS
from utils.config_schema import Config
from utils.errors import Mistake


def engine_mistakes(config: Config) -> list[Mistake]:
    """Mistakes in `model.kwargs.bn_group_size`, `model.kwargs.bn_sync_stats`, `protocols` and `val_protocol`."""
    mistakes = []
    group_size = config.model.kwargs.get("bn_group_size", 1)
    if isinstance(group_size, bool) or not isinstance(group_size, int) or group_size < 1:
        mistakes.append(
            Mistake("model.kwargs.bn_group_size", f"got {group_size!r}, needs a whole number of ranks, at least 1")
        )
    sync_stats = config.model.kwargs.get("bn_sync_stats", False)
    if not isinstance(sync_stats, bool):
        mistakes.append(Mistake("model.kwargs.bn_sync_stats", f"got {sync_stats!r}, needs True or False"))
    mistakes += own_mistakes(config.protocols)
    if config.val_protocol is not None and config.val_protocol not in (*PROTOCOLS, *ALIASES, *config.protocols):
        mistakes.append(Mistake("val_protocol", unknown_name(config.val_protocol, config.protocols)))
    return mistakes + _jitter_mistakes(config)


def _jitter_mistakes(config: Config) -> list[Mistake]:
    """The crop of a method that jitters the scale has to fit, also where the config leaves the crop to the method."""
    augmentation = config.augmentation
    usual = METHODS[config.model.type].method.train_crop if config.model.type in METHODS else ""
    if (
        augmentation.crop is not None
        or usual != "scale_jitter"
        or augmentation.jitter_sizes[0] >= augmentation.input_size
    ):
        return []
    return [
        Mistake(
            "augmentation.jitter_sizes",
            f"got {augmentation.jitter_sizes[0]}, needs at least input_size ({augmentation.input_size}), the crop that "
            f"{config.model.type} cuts from it",
        )
    ]


def protocol_overrides(name: str | None) -> list[str]:
    """What `--protocol NAME` sets in the config; "dense" is the method's published dense protocol."""
    if name is None or name == "all" or "," in name:  # several are for one evaluation, not for a run
        return []
    if name == "dense":
        return ["common.val_protocol=null", "common.val_dense=True"]
    return [f"common.val_protocol={name}", "common.val_dense=False"]
