"""Jobs of a real Slurm for tests: submitted, watched to their end, preempted; and nodes of mini-slurm that die."""

import contextlib
import os
import re
import signal
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

ON_SLURM = [needs_slurm, pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(600)]
FOUR_RANKS = ("--ntasks=4", "--nodes=2", "--ntasks-per-node=2")
GOES_ON = ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "SIGNALING", "REQUEUED", "STOPPED")


def start(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that talks to Slurm."""
    environment = {**experiments.environment(), "PYTHON": sys.executable, "SLURM_CONF": os.environ["SLURM_CONF"]}
    return subprocess.run(
        command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=240, check=False
    )


def log_of(config: Path) -> str:
    """What log.txt says so far; nothing before there is one."""
    with contextlib.suppress(FileNotFoundError):
        return (config.parent / "log.txt").read_text(encoding="utf-8")
    return ""


def wait_for(found: Callable[[], Any], seconds: float = 240) -> Any:
    """What `found` gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError(f"nothing in {seconds} s")


def wait_for_log(config: Path, pattern: str) -> None:
    """Return once `pattern` stands in log.txt."""
    compiled = re.compile(pattern, re.DOTALL)
    wait_for(lambda: compiled.search(log_of(config)))


def state_of(job: str) -> str:
    """`COMPLETED 0:0` and the like; `sbatch --wait` would return at the first requeue."""
    shown = start("scontrol", "--oneliner", "show", "job", job).stdout
    return " ".join(re.findall(r"(?:JobState|ExitCode)=(\S+)", shown))


def ended(job: str) -> str:
    """How the job ended, after any number of restarts."""
    return wait_for(lambda: "" if (state := state_of(job)).startswith(GOES_ON) else state, seconds=300)


def submit(config: Path, *options: str, tasks: tuple[str, ...] = FOUR_RANKS) -> str:
    """The job of train.sh's script; by default two ranks on each of two nodes (which have more GPUs than that)."""
    command = ["sbatch", "--parsable", "--partition=debug", "--requeue", "--open-mode=append", *tasks, *options]
    command += [f"--output={config.parent}/slurm-%j.txt", "exps/slurm_job.sh", *experiments.command(config)]
    done = start(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def assert_every_line_once(config: Path) -> None:
    """No iteration was trained twice, as far as the lines of log.txt tell."""
    steps = [int(step) for step in re.findall(r" iter (\d+)/", log_of(config))]
    assert len(steps) == len(set(steps)), "an iteration was trained twice"


def _state_folder() -> Path:
    """What mini-slurm.sh keeps on disk; skips the test under another Slurm, whose nodes are not ours to kill."""
    folder = Path(os.environ["SLURM_CONF"]).parents[1]
    if not (folder / "run" / "slurmd-n1.pid").exists():
        pytest.skip("needs the Slurm of tests/slurm/mini-slurm.sh")
    return folder


def _started_on(node: str) -> dict[int, int]:
    """Processes that this Slurm's `node` has started, with their parents."""
    wanted = {f"SLURMD_NODENAME={node}", f"SLURM_CONF={os.environ['SLURM_CONF']}"}
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted <= set((folder / "environ").read_text(errors="replace").split("\0")):
                found[int(folder.name)] = int((folder / "stat").read_text().rsplit(") ", 1)[1].split()[1])
    return found


def kill_node(node: str) -> None:
    """kill -9 of the node's daemon, of what it started, and of the slurmstepd in between."""
    daemon = int((_state_folder() / "run" / f"slurmd-{node}.pid").read_text())
    processes = _started_on(node)
    steps = {parent for parent in processes.values() if Path(f"/proc/{parent}/comm").read_text() == "slurmstepd\n"}
    assert steps, f"nothing runs on {node}"
    for pid in (daemon, *steps, *processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start_node(node: str) -> None:
    """Bring a killed node back; Slurm takes it up again by itself (ReturnToService=2)."""
    _state_folder()
    done = start("slurmd", "-f", os.environ["SLURM_CONF"], "-N", node)
    assert done.returncode == 0, done.stderr
