"""Clips per second with one worker and with two, and what CPU time each clip takes then; processes, and threads.

    python -m benchmarks.scaling [--clips 800] [--rounds 3] [--threads]

By the clock on a quiet machine with a core for each worker; on a busy one look at the CPU time: as much per clip with
two workers as with one means that they don't stand in each other's way. `--threads` measures threads of this process
too, which make the same batches.
"""

import argparse
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import torch

from benchmarks.cpu_time import cpu_of_loader
from benchmarks.loader import BATCH, FRAMES, TSN, VIDEOS, Workload, clips_of, our_loader
from benchmarks.made_frames import write_frames
from datasets.batches import Batch, BatchKey, TrainBatches
from datasets.hand_over import HandOver
from datasets.loaders import PREFETCHED, build_train_dataset
from datasets.videos import read_videos

WORKERS = (1, 2)


def threaded_loader(work: Workload) -> Iterator[Batch]:
    """The batches of `our_loader`, made by `work.workers` threads of this process."""
    config = work.config()
    videos = read_videos(config, "train", sampling=TSN.sampling)
    batches = TrainBatches(build_train_dataset(config, videos, TSN), None, HandOver())
    ahead: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(work.workers) as pool:
        for clips in clips_of(work, videos):
            ahead.append(pool.submit(batches.__getitem__, BatchKey(clips, None)))
            if len(ahead) > PREFETCHED * work.workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def measure(load: Callable[[Workload], Iterator[Any]], work: Workload) -> tuple[float, float]:
    """Clips per second, and CPU milliseconds per clip."""
    started = time.perf_counter()
    cpu = cpu_of_loader(partial(load, work))
    clips = work.batches * BATCH
    return clips / (time.perf_counter() - started), 1000 * cpu / clips


def main() -> None:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=800, help="clips of each number of workers and round (800)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    parser.add_argument("--threads", action="store_true", help="threads too")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    kinds = {"processes": our_loader, **({"threads": threaded_loader} if arguments.threads else {})}
    found: dict[tuple[str, int], list[tuple[float, float]]] = {(k, n): [] for k in kinds for n in WORKERS}
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), videos=VIDEOS, frames=FRAMES)
        for _ in range(arguments.rounds):
            for (kind, workers), runs in found.items():
                runs.append(measure(kinds[kind], Workload(Path(folder), arguments.clips // BATCH, workers)))
    for (kind, workers), runs in found.items():
        cpu = statistics.median(cpu for _, cpu in runs)
        print(f"{workers} {kind:9}: {max(rate for rate, _ in runs):6.1f} clips/s at best, {cpu:.2f} ms CPU per clip")


if __name__ == "__main__":
    main()
