"""A loader worker that is killed, runs out of memory, ends or is stuck: one line with its file and list line, soon."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import Dataset

from datasets.loaders import watched_loader
from datasets.videos import read_videos
from datasets.worker_notes import note_file, note_video
from tests.datasets.folder_config import folder_config
from tests.engine.command_processes import Finished, run, start, start_ranks
from tests.engine.test_parent_watch import alive, children
from tests.experiments import write_experiment
from tests.faults.control_groups import control_group
from utils.errors import UserError

LONG = {"lr_scheduler": {"max_iter": 5000}, "val_freq": 5000}
PROMISED = 10  # seconds
MEMORY = Path("/sys/fs/cgroup/memory")


def make_fifos(folder: Path, video: int) -> None:
    """Frames that nobody ever finishes opening, as on a file server that has gone."""
    for frame in (folder / "frames" / f"clip {video}").iterdir():
        frame.unlink()
        os.mkfifo(frame)


def assert_one_line(finished: Finished, config: Path, said: str) -> None:
    assert finished.status == 2, finished
    (line,) = finished.err.splitlines()
    assert line.startswith("error: loader worker pid "), line
    assert said in line, line
    assert (config.parent / "log.txt").read_text().splitlines()[-1].endswith(line)


def test_a_file_that_never_opens_is_named(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, workers=2, timeout=0.02, **LONG)
    make_fifos(tmp_path, 3)
    finished = run(config)
    assert_one_line(finished, config, f"is stuck: at {tmp_path}/frames/clip 3/img_0000")
    assert f"({tmp_path}/list.txt:4: clip 3), and no batch came for 1 s (half of common.timeout)" in finished.err


def test_evaluation_names_it_too(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, workers=1, timeout=0.02, lr_scheduler={"max_iter": 1})
    assert run(config).status == 0
    make_fifos(tmp_path, 7)
    assert_one_line(run(config, "--evaluate"), config, f"({tmp_path}/list.txt:8: clip 7)")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, " was killed by SIGKILL (out of memory? then lower common.workers or common.batch_size), "),
        (signal.SIGTERM, " was killed by SIGTERM, "),
        (signal.SIGSTOP, " is stopped (SIGSTOP): "),
    ],
)
def test_a_worker_that_is_killed_or_stopped_ends_the_run(tmp_path: Path, number: int, said: str) -> None:
    config = write_experiment(tmp_path, workers=2, timeout=0.02, **LONG)
    command = start(config)
    command.wait_for("iter 4/")
    workers = children(command.process.pid)
    assert len(workers) == 2
    os.kill(workers[1], number)
    since = time.monotonic()
    finished = command.finish()
    assert time.monotonic() - since < PROMISED
    assert_one_line(finished, config, f"error: loader worker pid {workers[1]}{said}")
    assert "start again to go on from the last checkpoint" in finished.err
    assert not any(alive(pid) for pid in workers)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "fifo"])
def test_all_ranks_end_when_a_worker_of_one_is_lost(tmp_path: Path, fault: str) -> None:
    config = write_experiment(tmp_path, workers=1, timeout=0.3, **LONG)
    if fault == "fifo":
        make_fifos(tmp_path, 3)
    ranks = start_ranks(config)
    if fault == "kill":
        ranks[0].wait_for("iter 4/")
        os.kill(children(ranks[1].process.pid)[0], signal.SIGKILL)
    since = time.monotonic()
    finished = [rank.finish() for rank in ranks]
    assert time.monotonic() - since < (PROMISED if fault == "kill" else 30)
    assert [each.status for each in finished] == [2, 2]
    printed = [line for each in finished for line in each.err.splitlines() if line.startswith("error: ")]
    log = (config.parent / "log.txt").read_text()
    assert len(printed) == log.count("error: ") == 1
    assert f"error: rank {1 if fault == 'kill' else ''}" in log
    assert "was killed by SIGKILL" in log if fault == "kill" else f"{tmp_path}/list.txt:4: clip 3" in log
    assert "Traceback" not in "".join(each.err for each in finished)


class Ending(Dataset[Any]):
    """At item 3, the worker ends in some way while it reads a file of video 4."""

    def __init__(self, way: str, group: Path) -> None:
        self._way = way
        self._group = group

    def __getitem__(self, index: int) -> int:
        if index == 3:
            note_video(4)
            note_file("/some/frame.jpg")
            self._end()
        return index

    def _end(self) -> None:
        if self._way.startswith("exit"):
            os._exit(int(self._way[-1]))
        (self._group / "cgroup.procs").write_text(str(os.getpid()))
        leak = [os.urandom(1 << 20) for _ in range(1000)]
        raise AssertionError(f"{len(leak)} MB in a group of 50")


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A memory cgroup of 50 MB."""
    version_1 = (MEMORY / "memory.limit_in_bytes").exists()
    yield from control_group(MEMORY, {"memory.limit_in_bytes" if version_1 else "memory.max": str(50 << 20)})


def lost(way: str, folder: Path, group: Path) -> str:
    config = folder_config(folder, workers=2)
    videos = read_videos(config, "train", sampling="segments")
    loader = watched_loader(config, Ending(way, group), range(10), videos=videos, workers=2)
    since = time.monotonic()
    with pytest.raises(UserError) as error:
        list(loader)
    assert time.monotonic() - since < PROMISED
    (line,) = error.value.lines
    assert f", at /some/frame.jpg ({folder}/list.txt:5: v 4); start again" in line
    return line


@pytest.mark.parametrize("status", [0, 7])
def test_a_worker_that_ends_is_named(tmp_path: Path, status: int) -> None:
    assert f"ended by itself with status {status}, at" in lost(f"exit {status}", tmp_path, tmp_path)


def test_a_worker_out_of_memory_is_named(tmp_path: Path, memory_group: Path) -> None:
    assert "was killed by SIGKILL (out of memory?" in lost("memory", tmp_path, memory_group)
