"""Where the time of a training clip goes: storage, decode, transform, hand-over, copy, compute."""

import math
import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from datasets.loaders import Batch, ClipFormat, build_train_dataset, build_train_loader
from datasets.samplers import TrainSampler
from datasets.videos import Videos
from engine.run import Run
from engine.train_step import train_step
from utils.config_schema import Config

ADVICE = {
    "storage": "pack the frames into one file (datasets.prepare.pack_frames) on a local disk; memcached in front",
    "decode": "store smaller frames (dump_frames --size 340x256); of videos: dump frames, or set key frames closer",
    "transform": "store frames nearer to input_size (dump_frames --short-side)",
    "hand-over": "larger batches, or fewer workers",
    "copy": "pinned memory and asynchronous copies are used already: a larger batch_size",
    "compute": "nothing on the side of the data: precision bf16, compile, a lighter network",
}


class Stage(NamedTuple):
    """Milliseconds per clip, by the clock and of the CPU."""

    name: str
    wall: float
    cpu: float


class _Spent(NamedTuple):
    wall: float
    cpu: float

    def since(self, before: "_Spent") -> "_Spent":
        return _Spent(self.wall - before.wall, self.cpu - before.cpu)


def _now() -> _Spent:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return _Spent(time.perf_counter(), sum(usage.ru_utime + usage.ru_stime for usage in usages))


class _Watch:
    """Time spent in methods of an object, which are replaced by ones that take it."""

    def __init__(self) -> None:
        self.spent: dict[str, _Spent] = {}

    def put_around(self, owner: object, method: str) -> None:
        original: Callable[..., Any] = getattr(owner, method)
        self.spent[method] = _Spent(0.0, 0.0)

        def timed(*arguments: Any) -> Any:
            before = _now()
            result = original(*arguments)
            took, so_far = _now().since(before), self.spent[method]
            self.spent[method] = _Spent(so_far.wall + took.wall, so_far.cpu + took.cpu)
            return result

        setattr(owner, method, timed)


def _stage(name: str, spent: _Spent, clips: int, less: _Spent | None = None) -> Stage:
    rest = spent.since(less) if less else spent
    return Stage(name, 1000 * max(0.0, rest.wall) / clips, 1000 * max(0.0, rest.cpu) / clips)


def loading_stages(config: Config, videos: Videos, clip: ClipFormat, clips: int) -> list[Stage]:
    """storage, decode, transform of `clips` training clips made in this process; of videos storage is in decode."""
    dataset, watch = build_train_dataset(config, videos, clip), _Watch()
    methods = [name for name in ("read_part", "fetch") if hasattr(videos.source, name)]
    for name in methods:
        watch.put_around(videos.source, name)
    before = _now()
    for key in _keys(config, videos, clips):
        dataset[key]
    whole = _now().since(before)
    for name in methods:
        delattr(videos.source, name)
    stages = [_stage("transform", whole, clips, less=watch.spent["read_part"])]
    if "fetch" not in watch.spent:
        return [_stage("decode", watch.spent["read_part"], clips), *stages]
    storage = watch.spent["fetch"]
    decode = _stage("decode", watch.spent["read_part"], clips, less=storage)
    return [_stage("storage", storage, clips), decode, *stages]


def _keys(config: Config, videos: Videos, clips: int) -> list[Any]:
    iterations = math.ceil(clips / config.batch_size)
    sampler = TrainSampler(
        num_videos=len(videos.videos),
        batch_size=config.batch_size,
        rank=0,
        world_size=1,
        seed=config.seed,
        start_iteration=0,
        max_iter=iterations,
    )
    return [key for batch in sampler for key in batch][:clips]


def hand_over(config: Config, videos: Videos, clip: ClipFormat, *, clips: int, made: float) -> tuple[Stage, Batch]:
    """What a worker process adds to the CPU time of a clip made in it (`made` ms), and a batch that came.

    The start of the worker, which happens once, is left out: it is in the time of the first batch.
    """
    more = max(1, clips // config.batch_size)
    first, batch = _one_worker(config, videos, clip, iterations=1)
    all_of_them, _ = _one_worker(config, videos, clip, iterations=1 + more)
    cost = max(0.0, 1000 * (all_of_them - first) / more / config.batch_size - made)
    return Stage("hand-over", cost, cost), batch


def _one_worker(config: Config, videos: Videos, clip: ClipFormat, *, iterations: int) -> tuple[float, Batch]:
    """CPU seconds of a loader's whole life, and its last batch."""
    schedule = config.lr_scheduler.model_copy(update={"max_iter": iterations})
    config = config.model_copy(update={"workers": 1, "lr_scheduler": schedule})
    before = _now()
    for batch in build_train_loader(config, videos, clip, rank=0, world_size=1, start_iteration=0):
        last = batch
    return _now().since(before).cpu, last


def device_stages(run: Run, batch: Batch, *, steps: int) -> list[Stage]:
    """copy to the device, and compute: the whole training step after it; one step before, to warm up."""
    clips, device = len(batch.label), run.world.device
    train_step(run, [batch])
    before = _now()
    for _ in range(steps):
        moved = batch._replace(frames=batch.frames.to(device), label=batch.label.to(device))
    copied = _now().since(before)
    before = _now()
    for _ in range(steps):
        train_step(run, [moved])  # reads its loss, so it waits for the device
    return [_stage("copy", copied, clips * steps), _stage("compute", _now().since(before), clips * steps)]


def workers_needed(stages: list[Stage]) -> int:
    """Worker processes that keep one device busy, with a tenth to spare."""
    device = sum(stage.wall for stage in stages if stage.name in ("copy", "compute"))
    return max(1, math.ceil(1.1 * _loading(stages) / device))


def _loading(stages: list[Stage]) -> float:
    return sum(stage.wall for stage in stages if stage.name not in ("copy", "compute"))


def verdict(stages: list[Stage], *, workers: int, cores: int) -> list[str]:
    """The bottleneck, the workers needed, and what would help, a line each."""
    device = sum(stage.wall for stage in stages if stage.name in ("copy", "compute"))
    loading, needed = _loading(stages), workers_needed(stages)
    rate = min(max(workers, 1), cores) * 1000 / loading
    slower = "the data" if rate < 1000 / device else "the device"
    kinds = [stage for stage in stages if (stage.name in ("copy", "compute")) == (slower == "the device")]
    worst = max(kinds, key=lambda stage: stage.wall)
    lines = [
        f"a worker makes {1000 / loading:.1f} clips/s, the device takes {1000 / device:.1f}",
        f"bottleneck with {workers} workers on {cores} cores: {slower}; most of it is {worst.name}",
        f"workers needed per device: {needed} (the config has {workers})",
        f"what would help: {ADVICE[worst.name]}",
    ]
    if needed > cores:
        lines.append(f"{needed} workers need as many cores, this machine has {cores}")
    if slower == "the data" and workers < needed <= cores:
        lines.append(f"set common.workers: {needed}")
    return lines


def cut_batch(batch: Batch, clips: int) -> Batch:
    """Its first clips."""
    tensors = {name: getattr(batch, name)[:clips] for name in ("frames", "label", "video_index", "position")}
    return batch._replace(**tensors)
