"""From config and list to batches: which data set, which crop, which worker processes."""

import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from datasets.batches import Batch, BatchKeys, TrainBatches
from datasets.cache_counts import with_counts
from datasets.clip_dataset import ClipDataset
from datasets.encoded_clips import EncodedBatches, decoded
from datasets.frame_group_dataset import FrameGroupDataset
from datasets.hand_over import HandOver
from datasets.image_dataset import ImageDataset
from datasets.samplers import TrainSampler
from datasets.shared_memory import SharedMemory
from datasets.train_dataset import TrainDataset
from datasets.videos import Videos
from datasets.worker_errors import FailuresAsItems, RaisingLoader
from datasets.worker_notes import WorkerNotes
from datasets.worker_watch import POLL_SECONDS, WorkerWatch
from utils.config_schema import AugmentationConfig, Config
from utils.errors import UserError
from utils.transforms import CropBox, multi_scale_crop, random_resized_crop, scale_jitter_crop

PREFETCHED = 2  # batches that a worker is ahead
PR_SET_PDEATHSIG = 1  # of Linux' prctl
CHANNELS = 3  # at most; flow has two


class ClipFormat(NamedTuple):
    """What a method wants of a clip: how frames are chosen, how many per segment, and its usual training crop."""

    sampling: str
    frames_per_segment: int
    train_crop: str


def _start_worker(worker: int, *, notes: WorkerNotes) -> None:
    """A worker decodes with one thread, notes what it reads, and leaves being asked to stop to its parent.

    In a process group of its own it does not see what Slurm, `timeout` or a terminal send to the whole of its
    parent's; it ends with its parent, also where it is stuck.
    """
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    notes.begin(worker)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)


def watched_loader(
    config: Config, dataset: Dataset[Any], sampler: Sampler[Any], *, videos: Videos, workers: int
) -> RaisingLoader[Any]:
    """The items of `dataset` that `sampler` names, made by `workers` processes; each item is a whole batch or video.

    A worker that ends, or stands still for half of the config's `timeout`, is a `UserError`: half, so that it comes
    before the other ranks have waited for that long.
    """
    notes = WorkerNotes(workers=workers)
    options: dict[str, Any] = {"num_workers": workers, "pin_memory": torch.cuda.is_available()}
    if workers > 0:
        options |= {"worker_init_fn": partial(_start_worker, notes=notes), "prefetch_factor": PREFETCHED}
        options["timeout"] = POLL_SECONDS
        options["multiprocessing_context"] = "fork"  # datasets hold closures; nothing of CUDA is touched in a worker
    loader: DataLoader[Any] = DataLoader(
        FailuresAsItems(dataset), batch_size=None, sampler=sampler, collate_fn=_as_it_is, **options
    )
    watch = partial(WorkerWatch, notes=notes, where=videos.videos.where, patience=60 * config.timeout / 2)
    name, cache = videos.videos.list_file.name, videos.source.cache
    return RaisingLoader(loader, lambda loader: with_counts(watch(loader), cache, name=name, last=len(loader)))


def build_crop(augmentation: AugmentationConfig, usual: str) -> Callable[[int, int, np.random.Generator], CropBox]:
    """The training crop, a function of (height, width, rng): the config's, else the method's `usual` one."""
    size = augmentation.input_size
    crops: dict[str, Callable[..., CropBox]] = {
        "multi_scale": partial(multi_scale_crop, size=size, scales=augmentation.scales),
        "scale_jitter": partial(scale_jitter_crop, size=size, jitter_sizes=augmentation.jitter_sizes),
        "random_resized": partial(random_resized_crop, size=size),
    }
    chosen = crops[augmentation.crop or usual]
    return lambda height, width, rng: chosen(height, width, rng=rng)


def build_train_dataset(config: Config, videos: Videos, clip: ClipFormat) -> TrainDataset:
    """The training data set of `videos` for a method that wants `clip`."""
    augmentation = config.augmentation
    options: dict[str, Any] = {
        "videos": videos.videos,
        "source": videos.source,
        "crop": build_crop(augmentation, clip.train_crop),
        "size": augmentation.input_size,
        "seed": config.seed,
        "flip": augmentation.flip,
        "flip_label_map": augmentation.flip_label_map,
        "bad_data": config.bad_data.train,
    }
    if clip.sampling == "segments":
        return FrameGroupDataset(
            num_segments=config.model.num_segments, frames_per_segment=clip.frames_per_segment, **options
        )
    if clip.sampling == "clip":
        return ClipDataset(clip_frames=config.model.num_frames, stride=config.model.stride, **options)
    assert clip.sampling == "image", f"no data set for sampling {clip.sampling!r}"
    return ImageDataset(**options)


def build_train_loader(
    config: Config, videos: Videos, clip: ClipFormat, *, rank: int, world_size: int, start_iteration: int
) -> Iterator[Batch]:
    """This rank's batches from `start_iteration` to the end of the run, in order, whatever the number of workers.

    Starts the workers. A `UserError` of the data set is raised by `next()`.
    """
    sampler = TrainSampler(
        num_videos=len(videos.videos),
        batch_size=config.batch_size,
        rank=rank,
        world_size=world_size,
        seed=config.seed,
        start_iteration=start_iteration,
        max_iter=config.lr_scheduler.max_iter,
        accumulate=config.accumulate,
    )
    dataset = build_train_dataset(config, videos, clip)
    if config.source.decode == "device":
        device = _decoding_device()
        encoded = watched_loader(
            config, EncodedBatches(dataset), BatchKeys(sampler, None), videos=videos, workers=config.workers
        )
        return decoded(iter(encoded), size=config.augmentation.input_size, device=device, where=videos.videos.where)
    memory = _batch_memory(config, dataset) if config.workers > 0 else None
    batches = TrainBatches(dataset, memory, HandOver())
    loader = watched_loader(config, batches, BatchKeys(sampler, memory), videos=videos, workers=config.workers)
    return iter(loader)


def _decoding_device() -> torch.device:
    if not torch.cuda.is_available():
        raise UserError("common.source.decode: got device, needs a CUDA GPU, and PyTorch sees none here: set it to cpu")
    return torch.device("cuda", torch.cuda.current_device())


def _batch_memory(config: Config, dataset: TrainDataset) -> SharedMemory:
    """Room for what workers have made or are making, and for what an iteration and the one before it look at."""
    clip = dataset.frames_per_clip() * config.augmentation.input_size**2 * CHANNELS
    ahead = PREFETCHED * config.workers
    return SharedMemory(count=ahead + 2 * config.accumulate + 1, nbytes=config.batch_size * clip)


def _as_it_is(video: Any) -> Any:
    return video
