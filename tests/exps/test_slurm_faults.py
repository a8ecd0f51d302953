"""A real Slurm takes a job's nodes away, by preemption or by their death: the weights stay those of an unbroken run.

Skipped where no Slurm answers, as test_slurm.py.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests import experiments
from tests.engine.command_processes import run_ranks
from tests.exps.slurm_jobs import (
    ON_SLURM,
    ended,
    kill_node,
    log_of,
    start,
    start_node,
    state_of,
    submit,
    wait_for,
    wait_for_log,
)

pytestmark = ON_SLURM

SAVED_EVERY = 20
RUN: dict[str, Any] = {"val_freq": 100, "print_freq": 5, "batch_size": 2, "ckpt_freq": SAVED_EVERY}
ALL_GPUS = ("--nodes=2", "--ntasks=2", "--gres=gpu:8")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ranks to the end, without Slurm; test_slurm.py shows that it makes no difference."""
    config = experiments.write_experiment(tmp_path_factory.mktemp("unbroken"), lr_scheduler={"max_iter": 200}, **RUN)
    assert [each.status for each in run_ranks(config)] == [0, 0]
    return config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return experiments.write_experiment(tmp_path, lr_scheduler={"max_iter": 200}, **RUN)


@pytest.fixture
def grace() -> Iterator[Callable[[int], None]]:
    """Sets the seconds that Slurm gives a job of the partition `debug` that it preempts; 0 again afterwards."""

    def set_grace(seconds: int) -> None:
        assert start("scontrol", "update", "PartitionName=debug", f"GraceTime={seconds}").returncode == 0

    yield set_grace
    set_grace(0)


def assert_ends_as(unbroken: Path, config: Path) -> None:
    ours, theirs = (experiments.checkpoint(each) for each in (config, unbroken))
    assert ours["iteration"] == 200
    for part in ("model", "optimizer"):
        assert experiments.differences(ours[part], theirs[part]) == []


def lost_iterations(config: Path) -> list[int]:
    """How many iterations each restart trained again, of those that the log tells of."""
    starts = log_of(config).split("---- start")[1:]
    lost = []
    for before, after in pairwise(starts):
        resumed = re.search(r"resumed from ckpt\.pth\.tar at iteration (\d+)", after)
        assert resumed, after
        reached = max(int(step) for step in re.findall(r" iter (\d+)/", before))
        lost.append(max(0, reached - int(resumed[1])))
    return lost


def trains(config: Path, restart: int) -> None:
    """Wait until a start of the job has trained."""
    wait_for_log(config, rf"\(restart {restart}\).* iter \d+/")


def test_preempted_without_grace_and_with_12_seconds(
    config: Path, unbroken: Path, grace: Callable[[int], None]
) -> None:
    job = submit(config, tasks=ALL_GPUS)
    for restart, seconds in enumerate([0, 12]):
        grace(seconds)
        trains(config, restart)
        urgent = start("sbatch", "--parsable", "--partition=urgent", *ALL_GPUS, "--output=/dev/null", "--wrap=sleep 1")
        assert ended(urgent.stdout.strip()) == "COMPLETED 0:0"
    assert ended(job) == "COMPLETED 0:0"
    assert f", job {job} (restart 2)" in log_of(config)
    assert_ends_as(unbroken, config)
    without, with_grace = lost_iterations(config)
    assert without <= SAVED_EVERY
    assert with_grace == 0
    assert f"job {job} goes back into the queue" in log_of(config)


def test_nodes_that_die(config: Path, unbroken: Path) -> None:
    """n2 has rank 1 alone, n1 the batch script too."""
    job = submit(config, tasks=ALL_GPUS)
    for restart, node in enumerate(["n2", "n1"]):
        wait_for_log(config, rf"\(restart {restart}\).* checkpoint of iteration \d+ written")
        kill_node(node)
        try:
            wait_for(lambda: not state_of(job).startswith(("RUNNING", "COMPLETING")))
        finally:
            start_node(node)
    assert ended(job) == "COMPLETED 0:0"
    assert f", job {job} (restart 2)" in log_of(config)
    assert_ends_as(unbroken, config)
    assert max(lost_iterations(config)) <= SAVED_EVERY
