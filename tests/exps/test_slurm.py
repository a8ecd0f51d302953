"""Training under a real Slurm: ranks on two nodes end as torchrun's do; train.sh and eval.sh go on where they stopped.

Skipped where no Slurm answers; `tests/slurm/mini-slurm.sh start` brings one up on this machine (as root).
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import experiments
from tests.exps.test_launch import needs_slurm
from tests.shared_material import REPOSITORY

pytestmark = [needs_slurm, pytest.mark.slurm, pytest.mark.slow]


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
    assert "evaluation of" in log_of(config).splitlines()[-1]


def test_a_missing_list_is_named_and_fails_the_job(tmp_path: Path) -> None:
    config = experiments.write_experiment(tmp_path, train_source=str(tmp_path / "absent.txt"))
    result = launch("train", config, "1")
    assert result.returncode == 2
    assert "absent.txt" in result.stderr
    assert not (config.parent / "log.txt").exists()
