"""Evaluating a list as a config wants it: which protocols, what scores views, what is kept of a run that was killed."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from datasets.evaluation_loader import build_evaluation_loader
from datasets.protocol_rules import PROTOCOLS, find_rule, made_of
from datasets.protocols import ClipShape, Protocol, protocol_of
from datasets.videos import Videos
from engine.distributed import World
from engine.evaluation import Evaluation, evaluate
from engine.partial_scores import PartialScores
from engine.run import normalisation
from engine.signals import StopRequest
from engine.view_scoring import NOTHING_KEPT, Kept, ViewScorer
from methods.method import Method
from utils.config_file import config_as_dict
from utils.config_schema import Config
from utils.errors import UserError

ALL, DENSE = "all", "dense"
MATTERS = ("model", "augmentation", "precision", "val_batch_size", "batch_size", "val_root", "source", "image_tmpl")


class Wanted(NamedTuple):
    """What is asked for: `protocols` by name ("all", "dense", or several with commas; None: the config's), `kept` of
    each video, and with `folder` that finished parts of the evaluation of `checkpoint` are kept below it.
    """

    protocols: str | None = None
    kept: Kept = NOTHING_KEPT
    folder: Path | None = None
    checkpoint: Path | None = None


class Evaluated(NamedTuple):
    """An evaluation per protocol, and the parts on disk, to be removed once all is where it belongs."""

    evaluations: list[Evaluation]
    partial: PartialScores | None

    def remove_parts(self) -> None:
        """Forget the parts on disk."""
        if self.partial:
            self.partial.remove()


def file_sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    return digest.hexdigest()


def _protocol(config: Config, method: Method, name: str) -> Protocol:
    shape = ClipShape(
        method.sampling,
        method.frames_per_view // method.frames_per_segment,
        config.model.stride,
        method.frames_per_segment,
    )
    size, resize = config.augmentation.input_size, config.augmentation.test_resize
    return protocol_of(*find_rule(name, config.protocols), shape, size=size, resize=resize)


def choose_protocol(config: Config, method: Method) -> Protocol:
    """The protocol that the config names, or the method's dense one (`val_dense`), or the centre."""
    return _protocol(config, method, config.val_protocol or (method.dense_protocol if config.val_dense else "center"))


def check_names(config: Config, names: str | None) -> None:
    """Raise `UserError` where one of several names is no protocol's."""
    for name in names.split(",") if names else ():
        if name.strip() not in (ALL, DENSE):
            find_rule(name.strip(), config.protocols)


def choose_protocols(config: Config, method: Method, names: str | None) -> list[Protocol]:
    """The protocols of `names` as `Wanted` has them.

    "all" are the config's own and the built-in ones whose clips the method takes; those of another number of segments
    than its own only where it looks at segments one by one.
    """
    if names is None:
        return [choose_protocol(config, method)]
    chosen: dict[str, Protocol] = {}
    for name in names.split(","):
        each = method.dense_protocol if name.strip() == DENSE else name.strip()
        for fitting in _fitting(config, method) if each == ALL else [each]:
            protocol = _protocol(config, method, fitting)
            chosen[protocol.name] = protocol
    return list(chosen.values())


def _fitting(config: Config, method: Method) -> list[str]:
    rules = {name: find_rule(name, config.protocols)[1] for name in (*PROTOCOLS, *config.protocols)}
    segments = method.frames_per_view // method.frames_per_segment
    return [
        name
        for name, rule in rules.items()
        if made_of(rule, method.sampling) == method.sampling
        and (method.frame_wise or rule.num_segments in (None, segments))
    ]


def build_scorer(config: Config, method: Method, world: World, kept: Kept = NOTHING_KEPT) -> ViewScorer:
    """What scores views with `method` as the config wants it."""
    mean, std = normalisation(config, method)
    return ViewScorer(method=method, mean=mean, std=std, device=world.device, precision=config.precision, kept=kept)


def evaluate_list(
    config: Config, method: Method, videos: Videos, *, world: World, stop: StopRequest
) -> Evaluation | None:
    """Score `videos` by the config's protocol; None where the run was asked to stop meanwhile."""
    found = evaluate_protocols(config, method, videos, Wanted(), world=world, stop=stop)
    return found.evaluations[0] if found else None


def evaluate_protocols(
    config: Config, method: Method, videos: Videos, wanted: Wanted, *, world: World, stop: StopRequest
) -> Evaluated | None:
    """Score `videos` by every protocol that is wanted, in one pass over the data; None where it was asked to stop."""
    protocols = choose_protocols(config, method, wanted.protocols)
    partial = None
    if wanted.folder:
        fingerprint = _fingerprint(config, videos, protocols, wanted)
        partial = PartialScores(wanted.folder, fingerprint, world=world)
    loader = build_evaluation_loader(
        config,
        videos,
        protocols,
        rank=world.rank,
        world_size=world.size,
        done=partial.found if partial else (),
    )
    scorer = build_scorer(config, method, world, wanted.kept)
    found = evaluate(scorer, loader, world=world, stop=stop, partial=partial)
    return Evaluated(found, partial) if found else None


def _fingerprint(config: Config, videos: Videos, protocols: list[Protocol], wanted: Wanted) -> dict[str, Any]:
    """What must be the same for scores of an earlier start to be these scores."""
    if wanted.checkpoint is None:
        raise UserError("a finished part of an evaluation can't be kept without a checkpoint's file")
    values = config_as_dict(config)
    return {
        "checkpoint": file_sha256(wanted.checkpoint),
        "list": file_sha256(videos.videos.list_file),
        "protocols": [repr(protocol) for protocol in protocols],
        "kept": list(wanted.kept),
        "config": {name: values[name] for name in MATTERS},
    }
