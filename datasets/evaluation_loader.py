"""From config and list to the videos that this rank evaluates, and how their views are batched."""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from datasets.evaluation_dataset import EvaluationDataset, EvaluationVideo
from datasets.hand_over import HandOver
from datasets.loaders import watched_loader
from datasets.protocols import Protocol
from datasets.samplers import EvaluationSampler
from datasets.videos import Videos
from datasets.worker_errors import RaisingLoader
from utils.config_schema import Config

MOST_VIDEOS = 4  # of a block whose views don't fit one batch: they wait as bytes on the device


class ViewBatch(NamedTuple):
    """How a protocol's views are batched: `block` neighbouring videos together, `views` at a time."""

    block: int
    views: int


class EvaluationLoader(NamedTuple):
    """This rank's videos of the list's `num_videos`; `block` neighbours come together.

    `batches` has how each of `protocols` batches its views.
    """

    videos: RaisingLoader[EvaluationVideo]
    block: int
    batches: tuple[ViewBatch, ...]
    protocols: tuple[Protocol, ...]
    num_videos: int


def view_batch(config: Config, protocol: Protocol) -> ViewBatch:
    """The batch of `protocol`: val_batch_size views, else as many pixels as a training batch has on the device.

    What is batched together is a function of the place in the list, so scores don't depend on the number of ranks, or
    on what other protocols are evaluated in the same pass.
    """
    if config.val_batch_size:
        views = config.val_batch_size
    else:
        frames = {"clip": config.model.num_frames, "segment_middles": config.model.num_frames, "image": 1}
        clip = frames.get(protocol.sampling, config.model.num_segments) * protocol.frames_per_segment
        budget = config.batch_size * clip * config.augmentation.input_size**2
        views = max(1, budget // protocol.pixels)
    if protocol.views <= views:
        return ViewBatch(views // protocol.views, views)
    filled = [math.ceil(block * protocol.views / views) / block for block in range(1, MOST_VIDEOS + 1)]
    return ViewBatch(1 + filled.index(min(filled)), views)  # the block that takes the fewest batches per video


def build_evaluation_loader(
    config: Config,
    videos: Videos,
    protocols: Sequence[Protocol],
    *,
    rank: int,
    world_size: int,
    done: Collection[int] = (),
) -> EvaluationLoader:
    """Loader of the videos of this rank for `protocols`, those that are `done` already left out.

    A block of videos that is dealt to a rank is a whole number of each protocol's own.
    """
    batches = tuple(view_batch(config, protocol) for protocol in protocols)
    block = math.lcm(*(batch.block for batch in batches))
    sampler = EvaluationSampler(num_videos=len(videos.videos), block=block, rank=rank, world_size=world_size, done=done)
    dataset = EvaluationDataset(videos=videos.videos, source=videos.source, protocols=protocols, hand_over=HandOver())
    workers = min(config.workers, len(sampler))
    loader = watched_loader(config, dataset, sampler, videos=videos, workers=workers)
    return EvaluationLoader(loader, block, batches, tuple(protocols), len(videos.videos))
