"""Killed runs leave nothing behind: no process, nothing in /dev/shm; the next start works."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.engine.command_processes import run, start
from tests.engine.test_parent_watch import alive, children
from tests.experiments import write_experiment

SOON = 15  # seconds; others on this machine may have a file in /dev/shm for a moment


def killed(config: Path, rng: random.Random) -> list[int]:
    """Kill a run with two loader workers somewhere; returns who was there."""
    command = start(config)
    command.wait_for("iter ")
    everybody = [command.process.pid, *children(command.process.pid)]
    time.sleep(rng.uniform(0, 0.3))
    command.send(signal.SIGKILL)
    command.process.join()
    assert len(everybody) == 3
    return everybody


@pytest.mark.parametrize("trials", [2, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.faults])])
def test_killed_runs_leave_nothing_in_dev_shm(tmp_path: Path, trials: int) -> None:
    config = write_experiment(tmp_path, workers=2, lr_scheduler={"max_iter": 5000}, val_freq=40, print_freq=1)
    before = set(os.listdir("/dev/shm"))
    rng = random.Random(37)
    everybody = [pid for _ in range(trials) for pid in killed(config, rng)]
    end = time.monotonic() + SOON
    while left := [pid for pid in everybody if alive(pid)] + sorted(set(os.listdir("/dev/shm")) - before):
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.1)
    finished = run(config, "--set", "common.lr_scheduler.max_iter=200")
    assert finished.status == 0, finished.err
    assert "iter 200/200" in finished.out or "this run is finished" in finished.out
