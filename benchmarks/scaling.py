"""Clips per second with one worker and with two, and what CPU time each clip takes then.

    python -m benchmarks.scaling [--clips 800] [--rounds 3]

By the clock on a quiet machine with a core for each worker; on a busy one look at the CPU time: as much per clip with
two workers as with one means that they don't stand in each other's way.
"""

import argparse
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import torch

from benchmarks.cpu_time import cpu_of_loader
from benchmarks.loader import BATCH, FRAMES, VIDEOS, Workload, our_loader
from benchmarks.made_frames import write_frames

WORKERS = (1, 2)


def main() -> None:
    """The command; see the module."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.split("\n")[0])
    parser.add_argument("--clips", type=int, default=800, help="clips of each number of workers and round (800)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (3)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    found: dict[int, list[tuple[float, float]]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), videos=VIDEOS, frames=FRAMES)
        for _ in range(arguments.rounds):
            for workers in WORKERS:
                work = Workload(Path(folder), arguments.clips // BATCH, workers)
                started = time.perf_counter()
                cpu = cpu_of_loader(partial(our_loader, work))
                found[workers].append((work.batches * BATCH / (time.perf_counter() - started), cpu))
    for workers, runs in found.items():
        rate = max(rate for rate, _ in runs)
        cpu = 1000 * statistics.median(cpu for _, cpu in runs) / arguments.clips
        print(f"{workers} workers: {rate:6.1f} clips/s at best, {cpu:.2f} ms CPU per clip")


if __name__ == "__main__":
    main()
