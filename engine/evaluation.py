"""The evaluation loop: every video once on any number of ranks, views batched on the device, one gather at the end."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from datasets.evaluation_dataset import EvaluationVideo
from datasets.evaluation_loader import EvaluationLoader
from datasets.protocols import Protocol
from engine.calibration import calibration_error, negative_log_likelihood, reliability_curve
from engine.distributed import World, gather_objects
from engine.log import LOGGER
from engine.metrics import mean_class_accuracy, softmax, top_k_accuracy
from engine.partial_scores import PartialScores, ScoredVideo
from engine.signals import StopRequest
from engine.view_scoring import VideoScores, ViewScorer
from engine.view_scoring import cut_views as cut_views
from utils.errors import UserError

PROGRESS_SECONDS = 30.0


@dataclass(frozen=True)
class Evaluation:
    """Scores (N, K) float32 and labels (N,) int64 of all N videos in list order, and the accuracies in percent.

    `views` float32 (N, V, K) and `features` float32 (N, D) where they were kept.
    """

    protocol: Protocol
    scores: np.ndarray
    labels: np.ndarray
    views: np.ndarray | None = None
    features: np.ndarray | None = None

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

    def probabilities(self) -> np.ndarray:
        """float64 (N, K), rows summing to 1: softmax of averaged logits, or the averaged probabilities."""
        return self.scores.astype(np.float64) if self.protocol.average == "probabilities" else softmax(self.scores)

    @property
    def nll(self) -> float:
        """The mean negative log likelihood of the labels, in nats."""
        return negative_log_likelihood(self.probabilities(), self.labels)

    @property
    def calibration_error(self) -> float:
        """Percent, expected calibration error over 15 bins."""
        return 100.0 * calibration_error(reliability_curve(self.probabilities(), self.labels))

    def line(self) -> str:
        """One line for log.txt: the protocol stands with the numbers, and the count of videos."""
        return (
            f"[{self.protocol.name}] top-1 {self.top1:.2f}  top-5 {self.top5:.2f}  "
            f"mean class accuracy {self.mean_class:.2f}  "
            f"({len(self.labels)} videos counted; {self.protocol.describe()})"
        )


class _Pending(NamedTuple):
    """Videos of a protocol that wait for their block to be whole."""

    protocol: Protocol
    block: int
    views: int
    videos: list[EvaluationVideo]

    def is_whole_before(self, video: EvaluationVideo) -> bool:
        """Whether `video` begins the next block."""
        return bool(self.videos) and video.video_index // self.block != self.videos[0].video_index // self.block


def evaluate(
    scorer: ViewScorer,
    loader: EvaluationLoader,
    *,
    world: World,
    stop: StopRequest,
    partial: PartialScores | None = None,
) -> list[Evaluation] | None:
    """Score every video of the list by every protocol of the loader; None where the run was asked to stop meanwhile.

    There is no collective inside the loop, so ranks may hold different numbers of videos, or none. `partial` keeps
    what is scored as it is scored, and holds what an earlier start had scored already.
    """
    was_training = scorer.method.training
    scorer.method.eval()
    done: list[ScoredVideo] = []
    failure: tuple[str, ...] = ()
    started = told = time.monotonic()
    share = -(-(loader.num_videos - len(partial.found if partial else ())) // world.size)
    try:
        for _ in _score_shard(scorer, loader, stop=stop, done=done):
            _keep(partial, done, world)
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                _tell_progress(len(done), share, told - started, loader.protocols)
    except UserError as error:  # a broken video: all ranks end with its line, none waits for this one
        failure = error.lines
    failure += _keep_rest(partial, done, world)
    scorer.method.train(was_training)
    parts = gather_objects((bool(stop), failure, done), world)
    failures = dict.fromkeys(line for _, lines, _ in parts for line in lines)
    if failures:
        raise UserError(*failures)
    if any(stopped for stopped, _, _ in parts):
        return None
    earlier = list(partial.found.values()) if partial else []
    return _collect(earlier + [video for _, _, part in parts for video in part], loader)


def _keep(partial: PartialScores | None, done: list[ScoredVideo], world: World, *, now: bool = False) -> None:
    if partial:
        partial.keep(done, rank=world.rank, now=now)


def _keep_rest(partial: PartialScores | None, done: list[ScoredVideo], world: World) -> tuple[str, ...]:
    """The lines of what prevents it, for all ranks to hear of."""
    try:
        _keep(partial, done, world, now=True)
    except UserError as error:
        return error.lines
    return ()


def _score_shard(
    scorer: ViewScorer, loader: EvaluationLoader, *, stop: StopRequest, done: list[ScoredVideo]
) -> Iterator[None]:
    """Add this rank's videos to `done` block by block until `stop`; yields after each block."""
    for videos in _loader_blocks(loader):
        scores: list[list[VideoScores]] = [[] for _ in loader.protocols]
        kept: list[tuple[int, int]] = []
        pending = [_Pending(p, *batch, []) for p, batch in zip(loader.protocols, loader.batches)]
        for video in videos:
            if stop:
                return
            kept.append((video.video_index, video.label))
            for each, part, found in zip(pending, (video, *video.further), scores):
                found += _score(scorer, each) if each.is_whole_before(part) else []
                each.videos.append(part)
        for each, found in zip(pending, scores):
            found += _score(scorer, each)
        done += [ScoredVideo(*which, found) for which, found in zip(kept, zip(*scores))]
        yield


def _score(scorer: ViewScorer, pending: _Pending) -> list[VideoScores]:
    """Score the videos that wait, which are none then."""
    with torch.inference_mode():
        found = scorer.score_block(pending.videos, pending.protocol, pending.views)
    pending.videos.clear()
    return found


def _loader_blocks(loader: EvaluationLoader) -> Iterator[Iterator[EvaluationVideo]]:
    """The loader's videos by `index // block`: what is batched together does not depend on the number of ranks."""
    videos = iter(loader.videos)
    ahead = next(videos, None)
    while ahead is not None:
        number = ahead.video_index // loader.block

        def block(number: int = number) -> Iterator[EvaluationVideo]:
            nonlocal ahead
            while ahead is not None and ahead.video_index // loader.block == number:
                video, ahead = ahead, None
                yield video
                del video
                ahead = next(videos, None)

        yield block()


def _tell_progress(done: int, total: int, seconds: float, protocols: Sequence[Protocol]) -> None:
    rate = done / seconds
    LOGGER.info(
        "evaluated %d of %d videos of this rank [%s], %.1f videos/s, %.0f s left",
        *(
            done,
            total,
            ", ".join(protocol.name for protocol in protocols),
            rate,
            max(0, total - done) / max(rate, 1e-9),
        ),
    )


def _collect(videos: list[ScoredVideo], loader: EvaluationLoader) -> list[Evaluation]:
    videos.sort(key=lambda video: video.video_index)
    indices = [video.video_index for video in videos]
    count = loader.num_videos
    assert indices == list(range(count)), f"evaluation counted {len(indices)} videos, the list has {count}"
    labels = np.array([video.label for video in videos], dtype=np.int64)
    found = []
    for number, protocol in enumerate(loader.protocols):
        scores, views, features = zip(*(video.results[number] for video in videos))
        kept = [None if part[0] is None else np.stack(part) for part in (views, features)]
        found.append(Evaluation(protocol, np.stack(scores), labels, *kept))
    return found
