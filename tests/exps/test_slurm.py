"""Training under a real Slurm: ranks on two nodes end as torchrun's do; train.sh and eval.sh go on where they stopped.

Skipped where no Slurm answers; `tests/slurm/mini-slurm.sh start` brings one up on this machine (as root).
"""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import experiments
from tests.exps.test_launch import needs_slurm
from tests.shared_material import REPOSITORY

pytestmark = [needs_slurm, pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(600)]


def start(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that talks to Slurm."""
    environment = {**experiments.environment(), "PYTHON": sys.executable, "SLURM_CONF": os.environ["SLURM_CONF"]}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def launch(mode: str, config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What train.sh or eval.sh does on the partition `debug`."""
    return start("bash", str(REPOSITORY / "exps" / "launch.sh"), mode, str(config.parent), "debug", *arguments)


def log_of(config: Path) -> str:
    return (config.parent / "log.txt").read_text(encoding="utf-8")


def test_ranks_on_two_nodes_end_as_two_ranks_of_torchrun(tmp_path: Path) -> None:
    by_torchrun = experiments.write_experiment(tmp_path / "torchrun", batch_size=2)
    result = experiments.run(by_torchrun, ranks=2)
    assert result.returncode == 0, result.stderr
    by_slurm = experiments.write_experiment(tmp_path / "slurm", batch_size=2)
    result = start("srun", "--partition=debug", "--nodes=2", "--ntasks=2", *experiments.command(by_slurm))
    assert result.returncode == 0, result.stderr
    ours, theirs = (experiments.checkpoint(config) for config in (by_slurm, by_torchrun))
    assert ours["iteration"] == 6
    assert experiments.differences(ours["model"], theirs["model"]) == []
    assert experiments.differences(ours["optimizer"], theirs["optimizer"]) == []
    assert "2 rank(s)" in log_of(by_slurm)
    assert "12 videos counted" in log_of(by_slurm)


def test_a_run_under_slurm_goes_on_and_is_evaluated(tmp_path: Path) -> None:
    config = experiments.write_experiment(tmp_path, batch_size=2)
    result = launch("train", config, "2", "--set", "common.lr_scheduler.max_iter=3")
    assert result.returncode == 0, result.stderr
    result = launch("train", config, "2")
    assert result.returncode == 0, result.stderr
    assert "resumed from ckpt.pth.tar at iteration 3" in log_of(config)
    assert experiments.checkpoint(config)["iteration"] == 6
    result = launch("eval", config, "1", "--protocol", "center")
    assert result.returncode == 0, result.stderr
    assert "evaluation of" in log_of(config)


@pytest.mark.parametrize("gpus", ["1", "10"])
def test_a_users_mistake_is_told_once_and_is_status_2(gpus: str, tmp_path: Path) -> None:
    """10 tasks on two nodes find the same mistake."""
    config = experiments.write_experiment(tmp_path, train_source=str(tmp_path / "absent.txt"))
    result = launch("train", config, gpus)
    assert result.returncode == 2
    assert result.stdout.count("absent.txt") == 1
    assert not (config.parent / "log.txt").exists()


LONG: dict[str, Any] = {"lr_scheduler": {"max_iter": 200}, "val_freq": 100, "print_freq": 5, "batch_size": 2}
FOUR_RANKS = ("--ntasks=4", "--nodes=2", "--ntasks-per-node=2")


def wait_for(found: Callable[[], str], seconds: float = 90) -> str:
    """What `found` gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError):
            if value := found():
                return value
        time.sleep(0.1)
    raise AssertionError(f"nothing in {seconds} s")


def state_of(job: str) -> str:
    """`COMPLETED 0:0` and the like; `sbatch --wait` would return at the first requeue."""
    shown = start("scontrol", "--oneliner", "show", "job", job).stdout
    return " ".join(re.findall(r"(?:JobState|ExitCode)=(\S+)", shown))


def ended(job: str) -> str:
    """How the job ended, after any number of restarts."""
    running = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SIGNALING", "REQUEUED", "STOPPED")
    return wait_for(lambda: "" if (state := state_of(job)).startswith(running) else state, seconds=280)


def submit(config: Path, *options: str) -> str:
    """The job of train.sh's script with two ranks on each of two nodes (the nodes have more GPUs than that)."""
    environment = {**experiments.environment(), "SLURM_CONF": os.environ["SLURM_CONF"]}
    command = ["sbatch", "--parsable", "--partition=debug", "--requeue", "--open-mode=append", *FOUR_RANKS, *options]
    command += [f"--output={config.parent}/slurm-%j.txt", "exps/slurm_job.sh", *experiments.command(config)]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four ranks on two nodes, to the end."""
    config = experiments.write_experiment(tmp_path_factory.mktemp("unbroken"), **LONG)
    assert ended(submit(config)) == "COMPLETED 0:0"
    return config


def assert_continued(config: Path, unbroken: Path) -> None:
    """One log without a hole, which begins as the unbroken run's; four ranks' sums need not round alike."""
    state, whole = (experiments.checkpoint(each) for each in (config, unbroken))
    assert state["iteration"] == whole["iteration"] == 200
    first = [re.search(r" iter 5/200  loss (\S+)", log_of(each))[1] for each in (config, unbroken)]
    assert first[0] == first[1]
    steps = [int(step) for step in re.findall(r" iter (\d+)/", log_of(config))]
    assert sorted(set(steps)) == list(range(5, 201, 5))


def test_requeued_by_an_operator(unbroken: Path, tmp_path: Path) -> None:
    config = experiments.write_experiment(tmp_path, **LONG)
    job = submit(config)
    for number in range(2):
        trained = re.compile(rf"(?s)restart {number}\).* iter \d*[05]/")
        wait_for(lambda trained=trained: trained.search(log_of(config)))
        assert start("scontrol", "requeue", job).returncode == 0
    assert ended(job) == "COMPLETED 0:0"
    assert f", job {job} (restart 2)" in log_of(config)
    assert_continued(config, unbroken)
    steps = re.findall(r" iter (\d+)/", log_of(config))
    assert len(steps) == len(set(steps)), "an iteration was trained twice"


def test_a_warning_before_python_listens_and_the_time_limit(unbroken: Path, tmp_path: Path) -> None:
    """USR1 comes at once here ("up to 60 seconds earlier"): it kills nobody; later ones save and requeue."""
    config = experiments.write_experiment(tmp_path, **LONG)
    job = submit(config, "--time=2", "--signal=USR1@100")
    wait_for(lambda: re.search(r" iter \d*[05]/", log_of(config)))
    assert start("scancel", "--signal=USR1", job).returncode == 0
    assert ended(job) == "COMPLETED 0:0"
    log = log_of(config)
    assert f"job {job} goes back into the queue" in log
    assert f", job {job} (restart 1)" in log
    assert_continued(config, unbroken)
    steps = re.findall(r" iter (\d+)/", log)
    assert len(steps) == len(set(steps)), "an iteration was trained twice"


def test_cancelled_is_not_requeued(tmp_path: Path) -> None:
    config = experiments.write_experiment(tmp_path, **LONG)
    job = submit(config)
    wait_for(lambda: re.search(r" iter \d*[05]/", log_of(config)))
    assert start("scancel", job).returncode == 0
    assert ended(job).startswith("CANCELLED")
    assert "stopped as asked after iteration" in log_of(config)
    assert "goes back into the queue" not in log_of(config)
    assert experiments.checkpoint(config)["iteration"] > 0
