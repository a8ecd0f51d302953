"""The loop: a `for` over iterations, and what is due once in a while, in the order it happens."""

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from datasets.loaders import Batch
from engine.checkpoint_writer import CheckpointWriter
from engine.distributed import gather_objects, sum_over_ranks
from engine.evaluation import Evaluation
from engine.log import LOGGER, Events
from engine.progress import Progress
from engine.replay import keep_for_replay
from engine.run import Run
from engine.saving import finish_saves, save, settle
from engine.signals import StopRequest
from engine.train_step import is_finite, settle_buckets, train_step
from utils.errors import UserError

CLIPS_IN_A_PICTURE = 4


@dataclass
class Outcome:
    """How a loop ended: finished, or stopped by a signal after saving."""

    finished: bool
    iteration: int


@dataclass
class Session:
    """What one start of the loop needs beside the run: where to write, whom to ask.

    `evaluate` scores the validation list (None: it was asked to stop).
    """

    folder: Path
    events: Events
    stop: StopRequest
    evaluate: Callable[[], Evaluation | None]
    writer: CheckpointWriter
    broken: dict[str, int] = field(default_factory=dict)


def train(run: Run, loader: Iterator[Batch], session: Session) -> Outcome:
    """Train from `run.iteration` to the schedule's end; returns early, with a checkpoint, when asked to stop."""
    config = run.config
    max_iter = config.lr_scheduler.max_iter
    progress = Progress(first_iteration=run.iteration, max_iter=max_iter)
    if _is_due(run, config.val_freq) and run.evaluated != run.iteration:  # an earlier start was stopped before it
        best = _evaluate_and_keep_best(run, session)
        if run.evaluated != run.iteration:
            return _stopped(run, max_iter)
        save(run, session.writer, best=best, last=run.iteration == max_iter)
    for iteration in range(run.iteration, max_iter):
        waited = time.monotonic()
        batches = [next(loader) for _ in range(config.accumulate)]
        started = time.monotonic()
        if iteration == progress.first_iteration:
            _show_clips(run, batches[0], session.events)
            settle_buckets(run, batches[0])
        metrics = train_step(run, batches)
        run.iteration = iteration + 1
        progress.count(run.window, metrics, data_seconds=started - waited, seconds=time.monotonic() - waited)
        asked_to_stop = _agree(run, session, batches, metrics)
        if run.iteration % config.print_freq == 0 or run.iteration == max_iter:
            progress.report(run, session.events)
        best = False
        if _is_due(run, config.val_freq) and not asked_to_stop:
            best = _evaluate_and_keep_best(run, session)
            asked_to_stop = run.evaluated != run.iteration
        if best or asked_to_stop or _is_due(run, config.ckpt_freq or config.val_freq):
            save(run, session.writer, best=best, last=asked_to_stop or run.iteration == max_iter)
        if asked_to_stop and (run.iteration < max_iter or run.evaluated != run.iteration):
            return _stopped(run, max_iter)
    return Outcome(finished=True, iteration=run.iteration)


def _stopped(run: Run, max_iter: int) -> Outcome:
    LOGGER.info("stopped as asked after iteration %d of %d; start again to go on", run.iteration, max_iter)
    return Outcome(finished=False, iteration=run.iteration)


def _is_due(run: Run, every: int) -> bool:
    return run.iteration > 0 and (run.iteration % every == 0 or run.iteration == run.config.lr_scheduler.max_iter)


def _agree(run: Run, session: Session, batches: list[Batch], metrics: dict[str, float]) -> bool:
    """Let all ranks know what one of them has met in this step; True where one was asked to stop.

    Raises `UserError` on all ranks at the same step for a loss or gradient that is not finite, for too many broken
    videos, or for a save that failed meanwhile.
    """
    new = [line for batch in batches for line in batch.broken if _video_of(line) not in session.broken]
    not_finite = not is_finite(run, metrics)
    mine = [session.stop, not_finite, new, session.writer.has_failed]
    flags = sum_over_ranks([float(bool(flag)) for flag in mine], run.world)
    if flags[1]:
        _refuse_not_finite(run, session, batches, metrics)
    if flags[2]:
        _note_broken(run, session, new)
    if flags[3]:
        finish_saves(run, session.writer)
    return flags[0] > 0


def _refuse_not_finite(run: Run, session: Session, batches: list[Batch], metrics: dict[str, float]) -> None:
    """End the run, the batches kept for `--replay`; a spoilt gradient is that of all ranks, a loss one rank's own."""
    losses = gather_objects(metrics["loss"], run.world)
    of_loss = not all(math.isfinite(loss) for loss in losses)
    mine = not math.isfinite(metrics["loss"]) if of_loss else True
    kept = keep_for_replay(run, batches, session.folder / "results").name if mine else ""
    videos = [int(index) for batch in batches for index in batch.video_index] if mine else []
    found = gather_objects((kept, videos), run.world)
    numbers = sorted(index + 1 for _, part in found for index in part)
    raise UserError(
        f"iteration {run.iteration}: the {'loss' if of_loss else 'gradient'} is not finite on the videos number "
        f"{numbers} of {run.config.train_source}; no checkpoint was written from it: lower the rate (base_lr, "
        "warmup_lr), set clip_gradient, or start again from ckpt.pth.tar with another of them; to look at it: "
        f"main.py --replay {session.folder / 'results' / next(name for name, _ in found if name)}"
    )


def _video_of(line: str) -> str:
    """`.../train.txt:12: ...` -> `.../train.txt:12`: a video is counted once, whichever of its frames can't be read."""
    found = re.match(r".*?:\d+(?=: )", line)
    return found[0] if found else line


def _note_broken(run: Run, session: Session, new: list[str]) -> None:
    for line in sorted({line for part in gather_objects(new, run.world) for line in part}):
        if _video_of(line) not in session.broken:
            session.broken[_video_of(line)] = run.iteration
            LOGGER.info("broken video %d, another drawn in its place: %s", len(session.broken), line)
    limit = run.config.bad_data.limit
    if len(session.broken) > limit:
        save(run, session.writer, best=False, last=True)
        raise UserError(
            f"{len(session.broken)} broken videos, bad_data.limit is {limit}: mend or leave out the videos named in "
            "log.txt, or raise the limit; start again to go on from this iteration"
        )


def _evaluate_and_keep_best(run: Run, session: Session) -> bool:
    """Evaluate, log and record; True where this is the best so far. `run.evaluated` says whether it was finished."""
    settle(run)
    finish_saves(run, session.writer)  # loader processes are forked now: no other thread may hold a lock
    evaluation = session.evaluate()
    if evaluation is None:
        return False
    run.evaluated = run.iteration
    name = evaluation.protocol.name
    LOGGER.info("evaluation at iteration %d: %s", run.iteration, evaluation.line())
    session.events.scalars(
        {
            f"val_{name}/top1": evaluation.top1,
            f"val_{name}/top5": evaluation.top5,
            f"val_{name}/mean_class": evaluation.mean_class,
            f"val_{name}/nll": evaluation.nll,
            f"val_{name}/calibration_error": evaluation.calibration_error,
        },
        run.iteration,
    )
    best = evaluation.top1 > run.best_metric  # False for NaN
    if best:
        run.best_metric, run.best_iteration = evaluation.top1, run.iteration
    LOGGER.info("best so far: top-1 %.2f [%s] at iteration %d", run.best_metric, name, run.best_iteration)
    return best


def _show_clips(run: Run, batch: Batch, events: Events) -> None:
    device = run.world.device
    shown = slice(0, CLIPS_IN_A_PICTURE)
    clips, _ = run.transform(batch.frames[shown].to(device), batch.label[shown].to(device), batch.position[shown])
    events.clips("train/clips", clips, run.iteration + 1)
