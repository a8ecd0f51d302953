"""A run of the tiny experiment inside the test's process, put together as engine.commands does it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from datasets.loaders import Batch, ClipFormat, build_train_loader
from datasets.videos import Videos
from engine.checkpoint_choice import find_checkpoint
from engine.checkpoint_writer import CheckpointWriter
from engine.commands import build_placed, evaluate_list, read_lists
from engine.distributed import World
from engine.log import Events, open_log
from engine.run import Run, build_run
from engine.signals import StopRequest
from engine.train_loop import Outcome, Session, train
from utils.config_file import config_as_dict, load_config
from utils.config_schema import Config

ALONE = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
EVERYTHING: dict[str, Any] = {
    "augmentation": {"random_erasing": [0.5, 0.02, 0.4, 0.3]},
    "ema": 0.9,
    "accumulate": 2,
    "clip_gradient": 1.0,
    "label_smooth": 0.1,
    "nesterov": True,
}


class Parts(NamedTuple):
    """What `train` takes."""

    run: Run
    loader: Iterator[Batch]
    session: Session


def train_loader(config: Config, run: Run, videos: Videos) -> Iterator[Batch]:
    method = run.method
    return build_train_loader(
        config,
        videos,
        ClipFormat(method.sampling, method.frames_per_segment, method.train_crop),
        rank=run.world.rank,
        world_size=run.world.size,
        start_iteration=run.iteration,
    )


def assemble(path: Path, *overrides: str, world: World = ALONE) -> Parts:
    """The run of a config, gone on from its folder's checkpoint where there is one."""
    config = load_config(path, overrides)
    train_videos, val_videos = read_lists(config, "train", "val")
    found = find_checkpoint(path.parent)
    run = build_run(config, build_placed(config, world, initialise=found is None), world)
    if found:
        run.restore(found.state)
    stop = StopRequest().install()
    session = Session(
        folder=path.parent,
        events=Events(path.parent / "events" if world.rank == 0 else None, start_iteration=run.iteration),
        stop=stop,
        evaluate=lambda: evaluate_list(config, run.scored, val_videos, world=world, stop=stop),
        writer=CheckpointWriter(
            path.parent,
            extra={"config": config_as_dict(config)},
            keep=config.keep,
            background=config.save_in_background,
        ),
    )
    open_log(path.parent / "log.txt", rank=world.rank)
    return Parts(run, train_loader(config, run, train_videos), session)


def finish(parts: Parts) -> Outcome:
    """Train to the end, or to the stop that is asked for."""
    with parts.session.events, parts.session.writer:
        outcome = train(*parts)
    open_log(None, rank=1)
    return outcome


def logged(folder: Path) -> dict[str, str]:
    """log.txt's values by what they are of ("iter 2", "evaluation at iteration 3"); times left out."""
    text = (folder / "log.txt").read_text(encoding="utf-8")
    values = dict(re.findall(r"(iter \d+)/\d+  (loss .*?)  data ", text))
    return {**values, **dict(re.findall(r"(evaluation at iteration \d+): (.*)", text))}


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The (step, value) pairs of each curve, as TensorBoard reads them; those of times left out."""
    events = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0})
    events.Reload()
    names = [name for name in events.Tags()["scalars"] if not name.startswith("time/")]
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in names}
