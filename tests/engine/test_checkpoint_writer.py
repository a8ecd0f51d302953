"""The writer in the background: what it writes is what a plain save writes, in order, and no failure is lost."""

import collections
import itertools
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoint import BEST, LATEST, load_checkpoint, previous_name, save_checkpoint
from engine.checkpoint_writer import CheckpointWriter
from engine.log import LOGGER, open_log
from tests.engine.test_checkpoint import names, state

HALF_A_SECOND = 0.5


def writer_of(folder: Path, *, background: bool = True, keep: int = 2) -> CheckpointWriter:
    return CheckpointWriter(folder, extra={"format": 1}, keep=keep, background=background)


def content(iteration: int, numbers: int = 1000) -> dict[str, Any]:
    return state(iteration, numbers)


def in_flight() -> bool:
    return any(thread.name == "checkpoint writer" for thread in threading.enumerate())


class Slow:
    """Pickling it takes half a second; so a save with it is in flight that long."""

    def __reduce__(self) -> tuple[Any, ...]:
        time.sleep(HALF_A_SECOND)
        return collections.OrderedDict, ()


class Unpicklable:
    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("can't be pickled, and never could")


@pytest.mark.parametrize("background", [True, False])
def test_the_file_is_the_one_of_a_plain_save(background: bool, tmp_path: Path) -> None:
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    for folder in (plain, ours):
        folder.mkdir()
    with writer_of(ours, background=background) as writer:
        for iteration in range(1, 5):
            save_checkpoint(plain, {"format": 1, **content(iteration)}, best=iteration == 2, keep=2)
            writer.start(content(iteration), best=iteration == 2)
        assert writer.wait() == ()
    assert names(ours) == names(plain) == {LATEST, BEST, previous_name(1)}
    for name in names(plain):
        assert (ours / name).read_bytes() == (plain / name).read_bytes(), name


def test_training_goes_on_while_it_is_written(tmp_path: Path) -> None:
    changing = content(1)
    with writer_of(tmp_path) as writer:
        started = time.monotonic()
        writer.start({**changing, "slow": Slow()}, best=False)
        assert time.monotonic() - started < HALF_A_SECOND / 2
        changing["model"]["weight"].zero_()
        assert not (tmp_path / LATEST).exists()
        assert writer.wait() == ()
        assert time.monotonic() - started > HALF_A_SECOND
    assert torch.equal(load_checkpoint(tmp_path / LATEST)["model"]["weight"], content(1)["model"]["weight"])


def test_a_second_save_waits_for_the_first(tmp_path: Path) -> None:
    with writer_of(tmp_path) as writer:
        writer.start({**content(1), "slow": Slow()}, best=False)
        started = time.monotonic()
        writer.start(content(2), best=False)
        assert time.monotonic() - started > HALF_A_SECOND / 2
        assert load_checkpoint(tmp_path / LATEST)["iteration"] in (1, 2)
    assert load_checkpoint(tmp_path / LATEST)["iteration"] == 2
    assert not in_flight()


def save_and_fail(writer: CheckpointWriter, error: BaseException) -> None:
    with writer:
        writer.start({**content(1), "slow": Slow()}, best=True)
        raise error


def test_leaving_finishes_the_save_in_flight_whatever_ended_the_run(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        save_and_fail(writer_of(tmp_path), KeyboardInterrupt())
    assert load_checkpoint(tmp_path / LATEST)["iteration"] == 1
    assert (tmp_path / BEST).samefile(tmp_path / LATEST)


def test_a_user_error_is_told_once_by_wait(tmp_path: Path) -> None:
    with writer_of(tmp_path / "gone") as writer:
        assert not writer.has_failed
        writer.start(content(1), best=False)
        end = time.monotonic() + 10
        while not writer.has_failed and time.monotonic() < end:
            time.sleep(0.01)
        assert writer.has_failed
        (line,) = writer.wait()
        assert line.startswith(f"{tmp_path / 'gone' / LATEST}: can't be written (No such file or directory)")
        assert not writer.has_failed
        assert writer.wait() == ()


@pytest.mark.parametrize("background", [True, False])
def test_a_bug_in_pickling_leaves_the_old_file_and_is_raised(background: bool, tmp_path: Path) -> None:
    with writer_of(tmp_path, background=background) as writer:
        writer.start(content(1), best=True)
        writer.wait()
        before = (tmp_path / LATEST).read_bytes()
        writer.start({**content(2), "extra": Unpicklable()}, best=True)
        with pytest.raises(TypeError, match="and never could"):
            writer.wait()
        assert names(tmp_path) == {LATEST, BEST}
        assert (tmp_path / LATEST).read_bytes() == (tmp_path / BEST).read_bytes() == before
        writer.start(content(3), best=False)
    assert load_checkpoint(tmp_path / LATEST)["iteration"] == 3


def test_a_failure_that_nobody_waited_for_is_in_the_log(tmp_path: Path) -> None:
    open_log(tmp_path / "log.txt", rank=0)
    with pytest.raises(RuntimeError, match="something else"):
        save_and_fail(writer_of(tmp_path / "gone"), RuntimeError("something else"))
    assert "the last save failed too: " in (tmp_path / "log.txt").read_text()


def test_the_log_says_which_saves_count(tmp_path: Path) -> None:
    open_log(tmp_path / "log.txt", rank=0)
    with writer_of(tmp_path) as writer:
        writer.start(content(1), best=True)
        writer.start(content(2), best=False)
    lines = [line[20:].split(":")[0] for line in (tmp_path / "log.txt").read_text().splitlines()]
    assert lines == ["checkpoint of iteration 1 written, the best", "checkpoint of iteration 2 written"]


def status_of_a_child_that_logs() -> int:
    child = os.fork()
    if child == 0:
        LOGGER.info("a child")
        os._exit(0 if torch.ones(10).sum() == 10 else 1)
    return os.waitpid(child, 0)[1]


def test_processes_forked_while_it_writes_and_logs_come_to_their_end(tmp_path: Path) -> None:
    """30 forks at any moment of saves: no lock of the writing thread is left shut in a child that logs, too."""
    open_log(tmp_path / "log.txt", rank=0)
    forks = 0
    with writer_of(tmp_path) as writer:
        for iteration in itertools.count(1):
            writer.start(content(iteration, numbers=200_000), best=False)
            while forks < 30 and in_flight():
                assert status_of_a_child_that_logs() == 0
                forks += 1
            if forks == 30:
                break
    assert (tmp_path / "log.txt").read_text().count("a child") == 30
    assert iteration >= 2, "no fork met more than one save"
