"""From a video's frames to the scores of its views: crops cut on the device, each frame's features computed once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from datasets.evaluation_dataset import EvaluationVideo
from datasets.protocols import Protocol
from engine.optimizer import autocast_for
from methods.method import Method
from utils.device_transforms import normalise
from utils.transforms import CropBox, flip


class VideoScores(NamedTuple):
    """`scores` float32 (K,), the mean of `views` float32 (V, K); `features` float32 (D,), their mean.

    Views are all crops of the first clip, then of the next. The last two are None unless they are kept.
    """

    scores: np.ndarray
    views: np.ndarray | None = None
    features: np.ndarray | None = None


class Kept(NamedTuple):
    """What of a video is kept beside its scores: those of each view, the features in front of the classifier."""

    views: bool = False
    features: bool = False


NOTHING_KEPT = Kept()


class _Scored(NamedTuple):
    """Float64 scores (V, K) and float32 features (V, D) of some views, on the device."""

    scores: torch.Tensor
    features: torch.Tensor


@dataclass(frozen=True)
class ViewScorer:
    """Scores views on the device: `method` in evaluation mode, frames normalised by `mean` and `std` (C values).

    `share_frames` False scores view by view, even where a method looks at frames one by one.
    """

    method: Method
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: torch.device
    precision: str
    kept: Kept = NOTHING_KEPT
    share_frames: bool = True

    def __call__(self, views: torch.Tensor, average: str = "logits") -> torch.Tensor:
        """uint8 views (V, T, H, W, C) on the device -> float32 logits (V, K), or their float64 "probabilities"."""
        clips = normalise(views, self.mean, self.std)
        with autocast_for(self.precision, self.device):
            return self.method.probabilities(clips) if average == "probabilities" else self.method(clips).float()

    def score_block(self, videos: Sequence[EvaluationVideo], protocol: Protocol, views: int) -> list[VideoScores]:
        """Each video of a block: its views' logits, or probabilities, averaged in double precision.

        `views` go through the method at a time, or as many frames where each frame is scored once.
        """
        by_frame = self.share_frames and self.method.frame_wise
        score = self._by_frame if by_frame else self._by_view
        scored = score(videos, protocol, views)
        per_video = scored.scores.unflatten(0, (len(videos), -1)).cpu()
        features = scored.features.float().unflatten(0, (len(videos), -1)).mean(dim=1).cpu()
        return [
            VideoScores(
                each.mean(dim=0).float().numpy(),
                each.float().numpy() if self.kept.views else None,
                features[number].numpy() if self.kept.features else None,
            )
            for number, each in enumerate(per_video)
        ]

    def _by_view(self, videos: Sequence[EvaluationVideo], protocol: Protocol, views: int) -> _Scored:
        parts = []
        for batch in _batches((view for video in videos for view in cut_views(video, self.device)), views):
            with _ClassifierInput(self.method.classifier) as seen:
                scores = self(batch, protocol.average).double()
            parts.append(_Scored(scores, seen.features(len(batch))))
        return _Scored(torch.cat([part.scores for part in parts]), torch.cat([part.features for part in parts]))

    def _by_frame(self, videos: Sequence[EvaluationVideo], protocol: Protocol, views: int) -> _Scored:
        """The features of each place of a video, crop by crop; then each clip's score from those of its places."""
        length = protocol.frames_per_segment
        segments = [_Segments(video, length) for video in videos]
        images = (image for video, each in zip(videos, segments) for image in each.cut(video, self.device))
        features = [self._features(batch) for batch in _batches(images, views * protocol.num_frames)]
        per_video = torch.cat(features).split([each.count * len(v.boxes) for v, each in zip(videos, segments)])
        clips = torch.cat([each.clips(part) for each, part in zip(segments, per_video)])
        with autocast_for(self.precision, self.device):
            logits = self.method.from_features(clips).float()
        scores = logits.double().softmax(dim=1) if protocol.average == "probabilities" else logits.double()
        return _Scored(scores, clips.mean(dim=1))

    def _features(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (n, frames_per_segment, H, W, C) -> (n, D)."""
        with autocast_for(self.precision, self.device):
            return self.method.features(normalise(batch, self.mean, self.std))[:, 0]


class _Segments:
    """The different places of a video's clips, each `length` frames in a row: `count` of them."""

    def __init__(self, video: EvaluationVideo, length: int) -> None:
        clips, frames = video.clip_indices.shape
        runs = video.clip_indices.reshape(-1, length)
        self._runs, places = np.unique(runs, axis=0, return_inverse=True)
        self._places = torch.from_numpy(places.reshape(clips, frames // length))
        self.count = len(self._runs)

    def cut(self, video: EvaluationVideo, device: torch.device) -> Iterator[torch.Tensor]:
        """Each crop of each place, uint8 (length, H, W, C): all places of the first crop, then of the next."""
        frames = video.frames.to(device, non_blocking=True)
        for crop in video.boxes:
            for run in torch.from_numpy(self._runs):
                yield _cut(frames[run[0] : run[0] + 1] if len(run) == 1 else frames[run.to(device)], *crop)

    def clips(self, features: torch.Tensor) -> torch.Tensor:
        """Features (crops * count, D) -> those of every view (V, places of a clip, D), clip by clip."""
        by_crop = features.unflatten(0, (-1, self.count))
        return by_crop[:, self._places.to(features.device)].transpose(0, 1).flatten(0, 1)


class _ClassifierInput:
    """Notes what goes into the classifier while it is entered."""

    def __init__(self, classifier: nn.Module) -> None:
        self._classifier = classifier
        self._inputs: list[torch.Tensor] = []

    def __enter__(self) -> "_ClassifierInput":
        self._hook = self._classifier.register_forward_pre_hook(lambda _, inputs: self._inputs.append(inputs[0]))
        return self

    def __exit__(self, *_: object) -> None:
        self._hook.remove()

    def features(self, views: int) -> torch.Tensor:
        """(views, D): the mean over segments or positions."""
        assert self._inputs, "the method's classifier was not called"
        return self._inputs[-1].reshape(views, -1, self._inputs[-1].shape[-1]).mean(dim=1)


def _cut(frames: torch.Tensor, box: CropBox, flipped: bool) -> torch.Tensor:
    part = frames[:, box.top : box.top + box.height, box.left : box.left + box.width]
    return flip(part) if flipped else part


def cut_views(video: EvaluationVideo, device: torch.device) -> Iterator[torch.Tensor]:
    """The views of one video, each uint8 (T, H, W, C): all crops of the first clip, then of the next."""
    frames = video.frames.to(device, non_blocking=True)
    for clip_indices in video.clip_indices:
        clip = frames[torch.as_tensor(clip_indices, device=device)]
        for crop in video.boxes:
            yield _cut(clip, *crop)


def _batches(views: Iterator[torch.Tensor], size: int) -> Iterator[torch.Tensor]:
    """Stacks of `size` views, the last one smaller; no more of them exist at a time than go into one."""
    batch: list[torch.Tensor] = []
    for view in views:
        batch.append(view)
        if len(batch) == size:
            yield torch.stack(batch)
            batch = []
    if batch:
        yield torch.stack(batch)
