"""kill -9 at random instants of a long training, started again each time: the weights of an unbroken run, in good time.

Two minutes of kills, 20 s apart on average; `make faults` sets FAULT_MINUTES=20, and they are 60 s apart. Starts are
forked from a process that has imported torch: a user's restart costs that import too (docs/reliability.md).
"""

import os
import random
import re
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import experiments
from tests.engine import command_processes
from tests.engine.test_resume import sibling

MINUTES = float(os.environ.get("FAULT_MINUTES", 2))
MEAN_SECONDS = 60 if MINUTES > 5 else 20
SAVED_EVERY = 20
USEFUL = 0.8


class Survived(NamedTuple):
    """How far a run came under kills, how often it was killed, and how long all of it took."""

    iteration: int
    kills: int
    seconds: float


def run_for(config: Path, seconds: float, *, kill: bool) -> None:
    """One start that ends after `seconds`: by kill -9, or asked to save and stop."""
    started = command_processes.start(config)
    started.process.join(seconds)
    started.process.kill() if kill else started.process.terminate()
    finished = started.finish()
    assert finished.status == (-9 if kill else 143), finished


def under_kills(config: Path, minutes: float) -> Survived:
    """Kill and start again for `minutes`, with exponential times between kills; the last start stops as asked."""
    rng, began, kills = random.Random(57), time.monotonic(), 0
    while True:
        pause = rng.expovariate(1 / MEAN_SECONDS)
        left = minutes * 60 - (time.monotonic() - began)
        if pause > left:
            break
        run_for(config, pause, kill=True)
        kills += 1
    run_for(config, max(left, 10), kill=False)
    return Survived(experiments.checkpoint(config)["iteration"], kills, time.monotonic() - began)


def assert_no_save_was_lost(log: str) -> None:
    """Each start goes on from the last multiple of `SAVED_EVERY` that the log has passed, or from beyond it."""
    reached = 0
    for resumed, iteration in re.findall(r"resumed from ckpt\.pth\.tar at iteration (\d+)| iter (\d+)/", log):
        if resumed:
            assert int(resumed) >= (reached - 1) // SAVED_EVERY * SAVED_EVERY
        else:
            reached = int(iteration)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(240 + 180 * MINUTES)
def test_a_run_that_is_killed_again_and_again_is_the_unbroken_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rate does not depend on max_iter, so that the unbroken run can be made as long as the killed one came."""
    schedule = {"type": "STEP", "lr_steps": [1], "lr_mults": [1.0], "base_lr": 0.001, "max_iter": 10_000_000}
    options = {"workers": 1, "batch_size": 2, "print_freq": 10, "ckpt_freq": SAVED_EVERY, "val_freq": 500}
    config = experiments.write_experiment(tmp_path, lr_scheduler=schedule, **options)
    assert command_processes.run(config, "--help").status == 0  # torch is imported from here on
    killed = under_kills(config, MINUTES)
    assert killed.kills >= MINUTES * 60 / MEAN_SECONDS / 3
    log = (config.parent / "log.txt").read_text(encoding="utf-8")
    assert_no_save_was_lost(log)

    unbroken = sibling(config, "unbroken")
    whole = command_processes.start(unbroken, "--set", f"common.lr_scheduler.max_iter={killed.iteration}")
    whole.process.join(120 * MINUTES)
    assert whole.finish().status == 0
    ours, theirs = (experiments.checkpoint(each) for each in (config, unbroken))
    for part in ("iteration", "model", "optimizer"):
        assert experiments.differences(ours[part], theirs[part]) == []

    step = statistics.mean(float(seconds) for seconds in re.findall(r"  step (\S+) s", log))
    useful = killed.iteration * step / killed.seconds
    with capsys.disabled():
        print(
            f"\n{killed.kills} kills in {killed.seconds:.0f} s (mean interval {MEAN_SECONDS} s): {killed.iteration} "
            f"iterations of {1000 * step:.0f} ms, useful time / wall time {useful:.3f}"
        )
    assert useful >= USEFUL
