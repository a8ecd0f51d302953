"""Training under a real Slurm: ranks on two nodes end as those of one machine; train.sh and eval.sh go on.

Skipped where no Slurm answers; `tests/slurm/mini-slurm.sh start` brings one up on this machine (as root).
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import experiments
from tests.engine.command_processes import run_ranks
from tests.exps.slurm_jobs import (
    FOUR_RANKS,
    ON_SLURM,
    assert_every_line_once,
    ended,
    log_of,
    start,
    submit,
    wait_for,
    wait_for_log,
)
from tests.shared_material import REPOSITORY

pytestmark = ON_SLURM


def launch(mode: str, config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What train.sh or eval.sh does on the partition `debug`."""
    return start("bash", str(REPOSITORY / "exps" / "launch.sh"), mode, str(config.parent), "debug", *arguments)


def test_ranks_on_two_nodes_end_as_two_ranks_of_one_machine(tmp_path: Path) -> None:
    here = experiments.write_experiment(tmp_path / "here", batch_size=2)
    assert [each.status for each in run_ranks(here)] == [0, 0]
    by_slurm = experiments.write_experiment(tmp_path / "slurm", batch_size=2)
    result = start("srun", "--partition=debug", "--nodes=2", "--ntasks=2", *experiments.command(by_slurm))
    assert result.returncode == 0, result.stderr
    ours, theirs = (experiments.checkpoint(config) for config in (by_slurm, here))
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


@pytest.mark.parametrize("tasks", [1, 4])
def test_a_users_mistake_is_told_once_and_is_status_2(tasks: int, tmp_path: Path) -> None:
    """By train.sh, and by srun where four tasks on two nodes find the same mistake."""
    config = experiments.write_experiment(tmp_path, train_source=str(tmp_path / "absent.txt"))
    if tasks == 1:
        result = launch("train", config, "1")
    else:
        result = start("srun", "--partition=debug", *FOUR_RANKS, *experiments.command(config))
    assert result.returncode == 2
    assert (result.stdout + result.stderr).count("absent.txt") == 1
    assert not (config.parent / "log.txt").exists()


@pytest.mark.parametrize("tasks", [1, 4])
def test_plain_python_in_a_batch_script(tasks: int, tmp_path: Path) -> None:
    """Alone in a job of one task; in a job of four it would wait for the others, and is refused at once."""
    config = experiments.write_experiment(tmp_path, lr_scheduler={"max_iter": 1}, val_freq=1)
    script, output = tmp_path / "job.sh", tmp_path / "output.txt"
    script.write_text('#!/bin/sh\nexec "$@"\n', encoding="utf-8")
    job = start(
        *("sbatch", "--parsable", "--partition=debug", f"--ntasks={tasks}", f"--output={output}"),
        *(str(script), *experiments.command(config)),
    ).stdout.strip()
    assert ended(job) == ("COMPLETED 0:0" if tasks == 1 else "FAILED 2:0")
    if tasks == 1:
        assert "on cpu, 1 rank(s)" in log_of(config)
    else:
        line = output.read_text()
        assert line.startswith("error: got one process in a Slurm job of 4 tasks, needs all of them: put `srun`")
        assert not (config.parent / "log.txt").exists()


LONG: dict[str, Any] = {"val_freq": 100, "print_freq": 5, "batch_size": 2}


def test_requeued_by_an_operator(tmp_path: Path) -> None:
    """Two ranks on each of two nodes: a log without a hole, no iteration twice, the weights of an unbroken run."""
    unbroken = experiments.write_experiment(tmp_path / "unbroken", lr_scheduler={"max_iter": 200}, **LONG)
    assert [each.status for each in run_ranks(unbroken, ranks=4)] == [0] * 4
    config = experiments.write_experiment(tmp_path / "requeued", lr_scheduler={"max_iter": 200}, **LONG)
    job = submit(config)
    wait_for_log(config, r" iter \d+/")
    assert start("scontrol", "requeue", job).returncode == 0
    assert ended(job) == "COMPLETED 0:0"
    assert f", job {job} (restart 1)" in log_of(config)
    ours, theirs = (experiments.checkpoint(each) for each in (config, unbroken))
    for part in ("iteration", "model", "optimizer"):
        assert experiments.differences(ours[part], theirs[part]) == []
    assert [int(step) for step in re.findall(r" iter (\d+)/", log_of(config))] == list(range(5, 201, 5))


def test_an_early_warning_then_the_time_limit_then_scancel(tmp_path: Path) -> None:
    """A warning before Python listens kills nobody; that of a limit of one minute, 15 to 45 s before it, requeues.

    The second start is cancelled: it saves, and is not requeued.
    """
    config = experiments.write_experiment(tmp_path, lr_scheduler={"max_iter": 100_000}, **{**LONG, "val_freq": 100_000})
    job = submit(config, "--time=1", "--signal=USR1@15", tasks=("--ntasks=1",))
    wait_for(lambda: f"{job}.0" in start("squeue", "--steps", "--noheader", "--format=%i").stdout)
    assert start("scancel", "--signal=USR1", job).returncode == 0
    wait_for_log(config, f"job {job} goes back into the queue")
    wait_for_log(config, r"\(restart 1\).* iter \d+/")
    assert start("scancel", job).returncode == 0
    assert ended(job).startswith("CANCELLED")
    log = log_of(config)
    assert log.count("goes back into the queue") == 1
    stopped, saved = re.findall(r"stopped as asked after iteration (\d+) of", log)
    assert f"resumed from ckpt.pth.tar at iteration {stopped}\n" in log
    assert experiments.checkpoint(config)["iteration"] == int(saved) > int(stopped)
    assert_every_line_once(config)
    steps = [int(step) for step in re.findall(r" iter (\d+)/", log)]
    assert steps == list(range(5, int(saved) + 1, 5))
