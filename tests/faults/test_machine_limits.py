"""A machine that is too small, really: little /dev/shm, few open files or processes. It works, or one line says why."""

import ctypes
import functools
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.worker_start import check_open_files
from tests.datasets.test_shared_memory import in_a_fork
from tests.engine.command_processes import start
from tests.experiments import write_experiment
from tests.faults.control_groups import control_group
from tests.frame_folders import make_frame_folders, write_list
from utils.errors import UserError

CLONE_NEWNS = 0x20000
PIDS = Path("/sys/fs/cgroup/pids")
MOUNTED = "mount --make-rprivate / && mount -t tmpfs -o size={size} tmpfs /dev/shm"


def small_dev_shm(size: str) -> None:
    """This process and its children get a /dev/shm of their own."""
    assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0, "no mount namespace"
    subprocess.run(["sh", "-c", MOUNTED.format(size=size)], check=True)


def can_unshare() -> bool:
    return in_a_fork(lambda: small_dev_shm("1m")) == 0


def test_half_a_mb_of_dev_shm_is_enough(tmp_path: Path) -> None:
    """Four videos of 0.3 MB each are under way at once in the evaluation, as many batches of 0.6 MB in training."""
    if not can_unshare():
        pytest.skip("no mount namespace can be made here")
    make_frame_folders(tmp_path / "frames", [f"v {n}" for n in range(6)], frames=8, size=(112, 112))
    write_list(tmp_path / "list.txt", [f"v {n} 8 {n % 3}" for n in range(6)])
    config = write_experiment(
        tmp_path,
        workers=2,
        batch_size=2,
        model={"num_segments": 8, "kwargs": {"width": 16}},
        augmentation={"input_size": 112, "test_resize": 112},
        lr_scheduler={"max_iter": 2},
    )
    finished = start(config, prepare=functools.partial(small_dev_shm, "512k")).finish()
    assert finished.status == 0, finished.err
    assert "evaluation at iteration 2: " in finished.out
    assert "checkpoint of iteration 2 written" in finished.out


def few_open_files(count: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def test_too_few_open_files_are_told_at_the_start_not_at_the_first_evaluation(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, workers=8, val_freq=1)
    finished = start(config, prepare=functools.partial(few_open_files, 64)).finish()
    assert finished.status == 2
    (line,) = [line for line in finished.err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: got a limit of 64 open files (ulimit -n), needs ")
    assert line.endswith(" with common.workers 8: raise it (ulimit -n 4096), or lower common.workers")
    assert "iter 1/" not in finished.out
    assert "Traceback" not in finished.err


def test_the_limit_of_open_files_is_raised_where_that_is_allowed() -> None:
    def raised() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 300))
        check_open_files(16, loaders=2)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert 40 < soft <= hard == 300
        with pytest.raises(UserError, match="got a limit of 300 open files"):
            check_open_files(100, loaders=2)

    assert in_a_fork(raised) == 0


def join(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


@pytest.fixture
def three_processes() -> Iterator[Path]:
    """A cgroup of at most three processes and threads."""
    yield from control_group(PIDS, {"pids.max": "3"})


def test_too_few_processes_are_one_line(tmp_path: Path, three_processes: Path) -> None:
    config = write_experiment(tmp_path, workers=4)
    finished = start(config, prepare=functools.partial(join, three_processes)).finish()
    assert finished.status == 2
    (line,) = [line for line in finished.err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: 4 loader workers can't be started ([Errno 11] Resource temporarily unavailable): ")
    assert (config.parent / "log.txt").read_text().splitlines()[-1].endswith(line)
