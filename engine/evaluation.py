"""The evaluation loop: every video once on any number of ranks, views batched on the device, one gather at the end."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from datasets.evaluation_dataset import EvaluationVideo
from datasets.loaders import EvaluationLoader
from datasets.protocols import Protocol
from engine.distributed import World, gather_objects
from engine.log import LOGGER
from engine.metrics import mean_class_accuracy, top_k_accuracy
from engine.optimizer import autocast_for
from engine.signals import StopRequest
from methods.method import Method
from utils.device_transforms import normalise
from utils.errors import UserError
from utils.transforms import flip

PROGRESS_SECONDS = 30.0


class ScoredVideo(NamedTuple):
    """`video_index` in the list, `label`, `scores` float32 (K,)."""

    video_index: int
    label: int
    scores: np.ndarray


@dataclass(frozen=True)
class Evaluation:
    """Scores (N, K) float32 and labels (N,) int64 of all N videos in list order, and the accuracies in percent."""

    protocol: Protocol
    scores: np.ndarray
    labels: np.ndarray

    @property
    def top1(self) -> float:
        """Percent of videos whose label has the highest score."""
        return 100.0 * top_k_accuracy(self.scores, self.labels, 1)

    @property
    def top5(self) -> float:
        """Percent of videos whose label is among the five highest scores (all, where there are fewer classes)."""
        return 100.0 * top_k_accuracy(self.scores, self.labels, min(5, self.scores.shape[1]))

    @property
    def mean_class(self) -> float:
        """Percent, averaged over the classes that have videos."""
        return 100.0 * mean_class_accuracy(self.scores, self.labels)

    def line(self) -> str:
        """One line for log.txt: the protocol stands with the numbers, and the count of videos."""
        return (
            f"[{self.protocol.name}] top-1 {self.top1:.2f}  top-5 {self.top5:.2f}  "
            f"mean class accuracy {self.mean_class:.2f}  "
            f"({len(self.labels)} videos counted; {self.protocol.describe()})"
        )


@dataclass(frozen=True)
class ViewScorer:
    """Scores views on the device: `method` in evaluation mode, frames normalised by `mean` and `std` (C values)."""

    method: Method
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device
    precision: str
    view_batch: int

    def __call__(self, views: torch.Tensor, average: str = "logits") -> torch.Tensor:
        """uint8 views (V, T, H, W, C) on the device -> float32 logits (V, K), or their float64 "probabilities"."""
        clips = normalise(views, self.mean, self.std)
        with autocast_for(self.precision, self.device):
            return self.method.probabilities(clips) if average == "probabilities" else self.method(clips).float()


def cut_views(video: EvaluationVideo, device: torch.device) -> Iterator[torch.Tensor]:
    """The views of one video, each uint8 (T, H, W, C): all crops of the first clip, then of the next."""
    frames = video.frames.to(device, non_blocking=True)
    for clip_indices in video.clip_indices:
        clip = frames[torch.as_tensor(clip_indices, device=device)]
        for box, flipped in video.boxes:
            view = clip[:, box.top : box.top + box.height, box.left : box.left + box.width]
            yield flip(view) if flipped else view


def _score_block(videos: list[EvaluationVideo], protocol: Protocol, scorer: ViewScorer) -> list[np.ndarray]:
    """Scores (K,) of each video of a block: its views' logits, or probabilities, averaged in double precision."""
    views = [view for video in videos for view in cut_views(video, scorer.device)]
    chunks = [views[i : i + scorer.view_batch] for i in range(0, len(views), scorer.view_batch)]
    per_view = torch.cat([scorer(torch.stack(chunk), protocol.average) for chunk in chunks]).double().cpu()
    per_video = per_view.reshape(len(videos), -1, per_view.shape[1]).mean(dim=1)
    return list(per_video.float().numpy())


def _blocks(loader: Iterable[EvaluationVideo], block: int) -> Iterator[list[EvaluationVideo]]:
    """Group videos by `index // block`: what is batched together does not depend on the number of ranks."""
    videos: list[EvaluationVideo] = []
    for video in loader:
        if videos and video.video_index // block != videos[0].video_index // block:
            yield videos
            videos = []
        videos.append(video)
    if videos:
        yield videos


def evaluate(
    scorer: ViewScorer,
    loader: EvaluationLoader,
    *,
    protocol: Protocol,
    num_videos: int,
    world: World,
    stop: StopRequest,
) -> Evaluation | None:
    """Score every video of the list; None where the run was asked to stop meanwhile.

    There is no collective inside the loop, so ranks may hold different numbers of videos, or none.
    """
    was_training = scorer.method.training
    scorer.method.eval()
    done: list[ScoredVideo] = []
    failure: tuple[str, ...] = ()
    started = told = time.monotonic()
    try:
        for count in _score_shard(scorer, loader, protocol=protocol, stop=stop, done=done):
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                _tell_progress(count, -(-num_videos // world.size), told - started, protocol)
    except UserError as error:  # a broken video: all ranks end with its line, none waits for this one
        failure = error.lines
    scorer.method.train(was_training)
    parts = gather_objects((bool(stop), failure, done), world)
    failures = dict.fromkeys(line for _, lines, _ in parts for line in lines)
    if failures:
        raise UserError(*failures)
    if any(stopped for stopped, _, _ in parts):
        return None
    return _collect([video for _, _, part in parts for video in part], num_videos, protocol)


def _score_shard(
    scorer: ViewScorer, loader: EvaluationLoader, *, protocol: Protocol, stop: StopRequest, done: list[ScoredVideo]
) -> Iterator[int]:
    """Add this rank's videos to `done` block by block until `stop`; yields how many there are."""
    for videos in _blocks(loader.videos, loader.block):
        if stop:
            break
        with torch.inference_mode():
            scores = _score_block(videos, protocol, scorer)
        done += [ScoredVideo(video.video_index, video.label, score) for video, score in zip(videos, scores)]
        yield len(done)


def _tell_progress(done: int, total: int, seconds: float, protocol: Protocol) -> None:
    rate = done / seconds
    LOGGER.info(
        "evaluated %d of %d videos of this rank [%s], %.1f videos/s, %.0f s left",
        *(done, total, protocol.name, rate, max(0, total - done) / rate),
    )


def _collect(videos: list[ScoredVideo], num_videos: int, protocol: Protocol) -> Evaluation:
    videos.sort(key=lambda video: video.video_index)
    indices = [video.video_index for video in videos]
    assert indices == list(range(num_videos)), f"evaluation counted {len(indices)} videos, the list has {num_videos}"
    return Evaluation(
        protocol=protocol,
        scores=np.stack([video.scores for video in videos]),
        labels=np.array([video.label for video in videos], dtype=np.int64),
    )
