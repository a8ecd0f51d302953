"""Ranks whose launcher was killed save, and are gone within 30 seconds."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.experiments import checkpoint, command, environment, write_experiment

PROMISED = 30


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_ranks_of_a_killed_torchrun_save_and_end(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, workers=1, lr_scheduler={"max_iter": 5000}, val_freq=5000)
    launcher = subprocess.Popen(command(config, ranks=2), env=environment(), stdout=subprocess.DEVNULL)
    log, end = config.parent / "log.txt", time.monotonic() + 120
    while not (log.exists() and "iter 4/" in log.read_text()):
        assert time.monotonic() < end
        time.sleep(0.1)
    ranks = children(launcher.pid)
    everybody = [*ranks, *(worker for rank in ranks for worker in children(rank))]
    assert len(everybody) >= 4
    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()
    since = time.monotonic()
    while any(alive(pid) for pid in everybody):
        assert time.monotonic() - since < PROMISED, [pid for pid in everybody if alive(pid)]
        time.sleep(0.1)
    assert "stopped as asked after iteration" in log.read_text()
    assert checkpoint(config)["iteration"] >= 4
