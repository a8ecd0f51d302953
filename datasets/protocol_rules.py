"""What the name of an evaluation protocol fixes: the published ones, and those that a config adds.

common:
    protocols:
        five-crops: {crops: 5, average: probabilities}
        two-small-clips: {sampling: twice, clips: 2, size: 112, resize: 128}
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from datasets import clip_sampling
from utils.config_report import closest
from utils.errors import Mistake, UserError


@dataclass(frozen=True)
class ProtocolRule:
    """What a protocol's name fixes; clip lengths, and sizes that aren't fixed here, come from the config.

    `sampling` names the rule for frames ("" : the method's own centre rule); `full_resolution` crops squares of the
    resized short side, else of the training crop's side; `average` is over the views: logits or probabilities;
    `to_edges`: three crops as PySlowFast cuts them, to the very edges, else by TSN's steps of fourths. `size` and
    `resize`, in pixels, stand in for the config's input_size and test_resize.
    """

    sampling: str
    clips: int
    crops: int
    full_resolution: bool
    average: str
    num_segments: int | None = None
    to_edges: bool = False
    size: int | None = None
    resize: int | None = None


PROTOCOLS: dict[str, ProtocolRule] = {
    "center": ProtocolRule("", 1, 1, False, "logits"),
    "tsn-25x10": ProtocolRule("segments_test", 1, 10, False, "logits", num_segments=25),
    "tsm-8x10crop": ProtocolRule("segments_centre", 1, 10, False, "logits"),
    "tsm-dense-10x3": ProtocolRule("dense", clip_sampling.DENSE_CLIPS, 3, True, "logits"),
    "tsm-twice-3crop": ProtocolRule("twice", 2, 3, True, "logits"),
    "slowfast-10x3": ProtocolRule("clip", 10, 3, True, "probabilities", to_edges=True),
    "ssv2-1x3": ProtocolRule("segment_middles", 1, 3, True, "probabilities", to_edges=True),
    "image-10crop": ProtocolRule("image", 1, 10, False, "logits"),
}
ALIASES = {"efficient": "center", "accurate": "tsm-twice-3crop"}  # as TSM's paper calls them on Something-Something
MADE_OF = {"clip": "clip", "segment_middles": "clip", "image": "image"}  # other samplings choose segments
CLIPS = {"dense": clip_sampling.DENSE_CLIPS, "twice": 2, "clip": None}  # of each sampling; None: any number; else 1
CHOICES: dict[str, tuple[Any, ...]] = {
    "sampling": ("", "segments_centre", "segments_test", "dense", "twice", "clip", "segment_middles", "image"),
    "crops": (1, 3, 5, 10),
    "average": ("logits", "probabilities"),
    "full_resolution": (True, False),
    "to_edges": (True, False),
}
DEFAULTS: dict[str, Any] = {"sampling": "", "clips": 1, "crops": 1, "full_resolution": False, "average": "logits"}
KEYS = tuple(field.name for field in fields(ProtocolRule))


def made_of(rule: ProtocolRule, sampling: str) -> str:
    """What the clips of `rule` are made of, for a method that samples by `sampling`: "segments", "clip", "image"."""
    return MADE_OF.get(rule.sampling, "segments") if rule.sampling else sampling


def find_rule(name: str, own: Mapping[str, Mapping[str, Any]]) -> tuple[str, ProtocolRule]:
    """The protocol's own name (of an alias: what it stands for) and its rule; `own` are the config's `protocols`.

    Raises `UserError` with the closest name for one that there isn't.
    """
    name = ALIASES.get(name, name)
    if name in own:
        return name, ProtocolRule(**{**DEFAULTS, **own[name]})
    if name not in PROTOCOLS:
        raise UserError(f"protocol: {unknown_name(name, own)}")
    return name, PROTOCOLS[name]


def unknown_name(name: str, own: Mapping[str, Any]) -> str:
    """The message for a name that isn't there."""
    names = [*own, *PROTOCOLS]
    close = closest(name, [*names, *ALIASES])
    hint = f" Did you mean {close!r}?" if close else ""
    return f"got {name!r}, needs one of {', '.join(names)}.{hint}"


def own_mistakes(own: Mapping[str, Any]) -> list[Mistake]:
    """What is wrong with a config's `protocols`, each with its key."""
    return [mistake for name, values in own.items() for mistake in _mistakes_of(name, values)]


def _mistakes_of(name: str, values: Any) -> Iterator[Mistake]:
    where = f"protocols.{name}"
    if name in PROTOCOLS or name in (*ALIASES, "all", "dense") or "," in name:
        yield Mistake(where, f"got the name {name!r}, which is taken or holds a comma; needs another one")
        return
    if not isinstance(values, Mapping):
        yield Mistake(where, f"got {values!r}, needs keys below it: {', '.join(KEYS)}")
        return
    known = {key: value for key, value in values.items() if key in KEYS}
    wrong = [mistake for key, value in values.items() for mistake in _wrong_value(where, key, value)]
    yield from wrong
    if not wrong:
        yield from _do_not_fit(where, ProtocolRule(**{**DEFAULTS, **known}))


def _wrong_value(where: str, key: str, value: Any) -> Iterator[Mistake]:
    if key not in KEYS:
        close = closest(key, KEYS)
        hint = f"Did you mean {close!r}?" if close else f"Keys: {', '.join(KEYS)}"
        yield Mistake(f"{where}.{key}", f"no such key. {hint}")
        return
    choices = CHOICES.get(key)
    if choices is None:
        right, needs = isinstance(value, int) and not isinstance(value, bool) and value >= 1, "a number of at least 1"
    else:
        right = any(value == choice and type(value) is type(choice) for choice in choices)
        needs = "one of " + ", ".join(repr(choice) for choice in choices)
    if not right:
        yield Mistake(f"{where}.{key}", f"got {value!r}, needs {needs}")


def _do_not_fit(where: str, rule: ProtocolRule) -> Iterator[Mistake]:
    clips = CLIPS.get(rule.sampling, 1)
    if clips is not None and rule.clips != clips and not (rule.sampling == "" and rule.clips == 1):
        sampling = rule.sampling or "the method's centre"
        yield Mistake(f"{where}.clips", f"got {rule.clips}, needs {clips}: that many does sampling {sampling} choose")
    if rule.num_segments and MADE_OF.get(rule.sampling):
        yield Mistake(f"{where}.num_segments", f"got {rule.num_segments}, but {rule.sampling} has no segments")
    if rule.to_edges and rule.crops != 3:
        yield Mistake(f"{where}.to_edges", f"got True with {rule.crops} crops, needs crops: 3")
    if rule.full_resolution and rule.size:
        yield Mistake(f"{where}.size", f"got {rule.size} together with full_resolution: True; remove one of them")
