"""`main.py --check`: what a run would be, without running it: data, parameters, GFLOPs, memory, time."""

import resource
import time
from collections.abc import Iterator
from datetime import timedelta

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from datasets.evaluation_loader import EvaluationLoader
from datasets.loaders import Batch
from engine.log import LOGGER
from engine.run import Run
from engine.train_step import train_step
from engine.view_scoring import ViewScorer, cut_views

TIMED_BATCHES = 2


def count_parameters(method: nn.Module) -> int:
    """Number of trainable and frozen parameters, buffers left out."""
    return sum(parameter.numel() for parameter in method.parameters())


def count_gflops(method: nn.Module, view: torch.Tensor) -> float:
    """Billions of multiply-adds of one float view (1, T, C, H, W), as the papers count "GFLOPs"."""
    was_training = method.training
    method.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        method(view)
    method.train(was_training)
    return counter.get_total_flops() / 2e9


def memory_used(device: torch.device) -> str:
    """The most that was allocated so far: of the device, or of this process on the CPU."""
    if device.type == "cuda":
        return f"{torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB on {torch.cuda.get_device_name(device)}"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB of memory in this process"


def check_training(run: Run, loader: Iterator[Batch]) -> float:
    """Run two batches and print what was seen of them; returns seconds of the second iteration."""
    seconds = 0.0
    for number in range(min(TIMED_BATCHES, run.config.lr_scheduler.max_iter)):
        started = time.monotonic()
        batches = [next(loader) for _ in range(run.config.accumulate)]
        waited = time.monotonic() - started
        metrics = train_step(run, batches)
        seconds = time.monotonic() - started
        shape = "x".join(str(size) for size in batches[0].frames.shape)
        LOGGER.info(
            "check: training batch %d: %s uint8, loss %.4f, %.2f s (%.2f s of it waiting for data)",
            *(number + 1, shape, metrics["loss"], seconds, waited),
        )
        for line in [line for batch in batches for line in batch.broken]:
            LOGGER.warning("check: broken video, another drawn in its place: %s", line)
    return seconds


def check_evaluation(scorer: ViewScorer, loader: EvaluationLoader) -> float:
    """Run one evaluation batch and print it; returns seconds per video (0 for a rank that has none to score)."""
    started = time.monotonic()
    (protocol, *_), (batch, *_) = loader.protocols, loader.batches
    video = next(iter(loader.videos), None)
    if video is None:
        return 0.0
    views = list(cut_views(video, scorer.device))[: batch.views]
    with torch.inference_mode():
        scorer.method.eval()
        logits = scorer(torch.stack(views))
    seconds = (time.monotonic() - started) * protocol.views / len(views)
    LOGGER.info(
        "check: evaluation batch: %d of the %d views of a video, scores %s, %s",
        *(len(views), protocol.views, tuple(logits.shape), protocol.describe()),
    )
    return seconds


def report(run: Run, view: torch.Tensor, *, step_seconds: float, video_seconds: float, num_videos: int) -> None:
    """Print parameters, GFLOPs per view, memory, and how long the whole run would take at this pace."""
    scheduler, config = run.config.lr_scheduler, run.config
    evaluations = -(-scheduler.max_iter // config.val_freq)
    training = scheduler.max_iter * step_seconds
    evaluating = evaluations * num_videos / run.world.size * video_seconds
    LOGGER.info("check: %s parameters", f"{count_parameters(run.method):,}")
    LOGGER.info(
        "check: %.2f GFLOPs (multiply-adds) per view of %d frames %dx%d",
        *(count_gflops(run.method, view), view.shape[1], view.shape[3], view.shape[4]),
    )
    LOGGER.info("check: %s", memory_used(run.world.device))
    LOGGER.info(
        "check: the run would take about %s: %d iterations of %.2f s, %d evaluations of %d videos",
        timedelta(seconds=round(training + evaluating)),
        *(scheduler.max_iter, step_seconds, evaluations, num_videos),
    )
