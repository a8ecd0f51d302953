"""What main.py does with a config: check it, evaluate a checkpoint, or train."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from datasets.evaluation_loader import build_evaluation_loader
from datasets.finding import report_lines
from datasets.list_checks import describe_histogram
from datasets.loaders import Batch, ClipFormat, build_train_loader
from datasets.videos import Videos, list_findings, read_videos
from engine import preflight
from engine.checkpoint import check_same_experiment, remove_leftovers
from engine.checkpoint_choice import Found, find_checkpoint, set_aside
from engine.checkpoint_writer import CheckpointWriter
from engine.distributed import World, check_agreement, raise_together
from engine.evaluation_run import Wanted, build_scorer, check_names, choose_protocol, evaluate_list, evaluate_protocols
from engine.evaluation_table import table_lines
from engine.experiment import Experiment
from engine.folder_lock import folder_lock
from engine.log import LOGGER, Events, open_log
from engine.requeue import requeue
from engine.run import Run, build_run
from engine.signals import StopRequest
from engine.train_loop import Outcome, Session, train
from engine.weights import build_placed, for_training, load_evaluated
from methods import METHODS
from methods.method import Method
from utils.config_file import config_as_dict, repository_path, write_config
from utils.config_schema import Config
from utils.errors import UserError


def read_lists(config: Config, *splits: str) -> list[Videos]:
    """The videos of "train" or "val"; every list is read, and all faults reported, before anything is written."""
    sampling = METHODS[config.model.type].method.sampling
    return [read_videos(config, split, sampling=sampling) for split in splits]


def check(config: Config, world: World) -> int:
    """`--check`: build everything, read everything, try it, write nothing; returns the exit status."""
    open_log(None, rank=world.rank)
    train_videos, val_videos = read_lists(config, "train", "val")
    _check_lists(train_videos, val_videos)
    config = for_training(config, None)
    method = build_placed(config, world, initialise=True)
    run = build_run(config, method, world)
    loader = _train_loader(config, method, train_videos, world, start_iteration=0)
    step_seconds = preflight.check_training(run, loader)
    protocol = choose_protocol(config, method)
    evaluation = build_evaluation_loader(config, val_videos, [protocol], rank=world.rank, world_size=world.size)
    video_seconds = preflight.check_evaluation(build_scorer(config, method, world), evaluation)
    size = config.augmentation.input_size
    frames, channels = method.frames_per_view, len(method.mean)
    view = torch.zeros(1, frames, channels, size, size, device=world.device)
    preflight.report(
        run, view, step_seconds=step_seconds, video_seconds=video_seconds, num_videos=len(val_videos.videos)
    )
    return 0


def _check_lists(train_videos: Videos, val_videos: Videos) -> None:
    """Log what lists and frames are; raise `UserError` with all that would stop a run or be skipped by it."""
    for videos in (train_videos, val_videos):
        LOGGER.info("check: %s", videos.description)
        LOGGER.info("check: %s", describe_histogram(videos.videos, videos.class_names))
    findings = list_findings(train_videos, val_videos)
    for line in report_lines([finding for finding in findings if not finding.severe]):
        LOGGER.warning("check: %s", line)
    severe = report_lines([finding for finding in findings if finding.severe])
    if severe:
        raise UserError(*severe, "datasets.prepare.check_lists --write-clean writes lists without these")


def evaluate_only(
    config: Config, experiment: Experiment, world: World, *, load_path: str | None, protocols: str | None = None
) -> int:
    """`--evaluate`: score the validation list with a checkpoint (by default the best); returns the exit status.

    `protocols`: one, or several with commas, or "all"; by default the config's.
    """
    open_log(None, rank=world.rank)
    check_names(config, protocols)
    (videos,) = read_lists(config, "val")
    path = repository_path(load_path) if load_path else _best_checkpoint(experiment)
    config, method, name = load_evaluated(config, path, world)
    experiment.create()
    open_log(experiment.log_file, rank=world.rank)
    stop = StopRequest().install()
    wanted = Wanted(protocols, folder=experiment.results / "partial", checkpoint=path)
    found = evaluate_protocols(config, method, videos, wanted, world=world, stop=stop)
    if found is None:
        LOGGER.info("evaluation stopped as asked; start it again to go on")
        return stop.status
    for evaluation in found.evaluations:
        LOGGER.info("evaluation of %s: %s", name, evaluation.line())
    for line in table_lines(found.evaluations):
        LOGGER.info("%s", line)
    if world.rank == 0:
        found.remove_parts()
    return 0


def _best_checkpoint(experiment: Experiment) -> Path:
    for name in ("ckpt_best.pth.tar", "ckpt.pth.tar"):
        if (experiment.folder / name).is_file():
            return experiment.folder / name
    raise UserError(f"{experiment.folder}: no ckpt_best.pth.tar to evaluate; train first, or give --load-path FILE")


def _train_loader(
    config: Config, method: Method, videos: Videos, world: World, *, start_iteration: int
) -> Iterator[Batch]:
    return build_train_loader(
        config,
        videos,
        ClipFormat(method.sampling, method.frames_per_segment, method.train_crop),
        rank=world.rank,
        world_size=world.size,
        start_iteration=start_iteration,
    )


def _fingerprint(config: Config, *videos: Videos) -> dict[str, str]:
    """What all ranks must agree on before the first step: every value of the config, and the lists' content."""
    hashes = {str(v.videos.list_file): hashlib.sha256(v.videos.list_file.read_bytes()).hexdigest() for v in videos}
    return {**{key: str(value) for key, value in config_as_dict(config).items()}, **hashes}


@contextlib.contextmanager
def _locked(experiment: Experiment, world: World) -> Iterator[str | None]:
    """Hold the folder's lock on rank 0; what refuses it there is raised on all ranks."""
    with contextlib.ExitStack() as held:
        line: str | None = None
        refusal: tuple[str, ...] = ()
        if world.rank == 0:
            try:
                line = held.enter_context(folder_lock(experiment.folder))
            except UserError as error:
                refusal = error.lines
        raise_together(refusal, world)
        yield line


def _check_global_batch(run: Run, saved: dict[str, Any]) -> None:
    """Another number of ranks goes on where the clips per iteration stay: then each clip still comes once per epoch."""
    ranks = saved.get("world_size", run.world.size)
    batch, accumulate = (saved["config"].get(key, 1) for key in ("batch_size", "accumulate"))
    clips = ranks * batch * accumulate
    config, size = run.config, run.world.size
    if ranks == size or clips == size * config.batch_size * config.accumulate:
        return
    fits = f"set batch_size: {clips // size // config.accumulate}" if clips % (size * config.accumulate) == 0 else ""
    raise UserError(
        f"got {size} rank(s) x batch_size {config.batch_size} x accumulate {config.accumulate} = "
        f"{size * config.batch_size * config.accumulate} clips per iteration, needs the checkpoint's {ranks} x "
        f"{batch} x {accumulate} = {clips}, so that each video still comes once per epoch: "
        f"{fits or f'start a number of ranks that divides {clips}'}"
    )


def _resume(run: Run, found: Found | None) -> None:
    """Take up the folder's checkpoint, after checking that it belongs to this config and is the same for all ranks."""
    if found is not None:
        for line in found.lines:
            LOGGER.info("%s", line)
        changes = check_same_experiment(found.state["config"], config_as_dict(run.config))
        _check_global_batch(run, found.state)
        run.restore(found.state)
        LOGGER.info("resumed from %s at iteration %d", found.path.name, run.iteration)
        for change in changes:
            LOGGER.info("changed since the checkpoint: %s", change)
    check_agreement({"iteration of the checkpoint found": str(run.iteration)}, run.world)


def _open_folder(experiment: Experiment, config: Config, world: World) -> None:
    """From here on the run writes into its folder: log.txt with what was said so far, config_resolved.yaml."""
    experiment.create()
    open_log(experiment.log_file, rank=world.rank)
    if world.rank == 0:
        remove_leftovers(experiment.folder)
        write_config(config, experiment.resolved_config)


def _is_finished(run: Run) -> bool:
    max_iter = run.config.lr_scheduler.max_iter
    return run.iteration > max_iter or run.iteration == max_iter == run.evaluated


def train_experiment(config: Config, experiment: Experiment, world: World) -> int:
    """Train, going on from the folder's checkpoint where there is one; returns the exit status."""
    open_log(None, rank=world.rank)
    LOGGER.info("---- start: %s on %s, %d rank(s)%s", experiment.folder.name, world.device, world.size, _job())
    train_videos, val_videos = read_lists(config, "train", "val")
    check_agreement(_fingerprint(config, train_videos, val_videos), world)
    for videos in (train_videos, val_videos):
        LOGGER.info("%s", videos.description)
    with _locked(experiment, world) as taken_over:
        if taken_over:
            LOGGER.info("%s", taken_over)
        run = _build_and_resume(config, experiment, world)
        if _is_finished(run):
            LOGGER.info(
                "this run is finished at iteration %d: raise lr_scheduler.max_iter to lengthen it", run.iteration
            )
            return 0
        stop = StopRequest().install()
        if _train(run, experiment, train_videos, val_videos, stop).finished:
            return 0
    requeue(stop, world)
    return stop.status


def _job() -> str:
    """The Slurm job, and which of its starts this is."""
    job, restarts = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_RESTART_COUNT", "0")
    return f", job {job} (restart {restarts})" if job else ""


def _build_and_resume(config: Config, experiment: Experiment, world: World) -> Run:
    found = find_checkpoint(experiment.folder)
    config = for_training(config, found.path if found else None)
    method = build_placed(config, world, initialise=found is None)
    run = build_run(config, method, world)
    LOGGER.info("evaluation protocol: %s", choose_protocol(config, method).describe())
    _resume(run, found)
    _open_folder(experiment, config, world)
    if found and world.rank == 0:
        set_aside(found.damaged)
    return run


def _train(run: Run, experiment: Experiment, train_videos: Videos, val_videos: Videos, stop: StopRequest) -> Outcome:
    config, world = run.config, run.world
    loader = _train_loader(config, run.method, train_videos, world, start_iteration=run.iteration)
    events_folder = experiment.events if world.rank == 0 else None
    extra = {
        "config": config_as_dict(config),
        "protocol": choose_protocol(config, run.method).name,
        "class_names": list(val_videos.class_names),
        "world_size": world.size,
        "format": 1,
    }
    with (
        Events(events_folder, start_iteration=run.iteration) as events,
        CheckpointWriter(
            experiment.folder, extra=extra, keep=config.keep, background=config.save_in_background
        ) as writer,
    ):
        session = Session(
            folder=experiment.folder,
            events=events,
            stop=stop,
            evaluate=lambda: evaluate_list(config, run.scored, val_videos, world=world, stop=stop),
            writer=writer,
        )
        return train(run, loader, session)
