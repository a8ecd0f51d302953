"""A rank that dies, hangs, ends early or fails: the others end soon, and log.txt names rank, host and first cause."""

import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from engine import distributed
from engine.last_words import one_account_of_failures
from engine.log import open_log
from tests.engine.command_processes import Started, start_ranks
from tests.engine.rank_processes import free_port, torchrun_variables
from tests.experiments import environment, write_experiment
from utils.errors import UserError

LONG = {"lr_scheduler": {"max_iter": 2000}, "val_freq": 1000, "workers": 0}


def running(folder: Path, *, timeout: float = 10.0, ranks: int = 2) -> tuple[Path, list[Started]]:
    config = write_experiment(folder, timeout=timeout, **LONG)
    started = start_ranks(config, ranks=ranks)
    started[0].wait_for("iter 4/")
    return config, started


@pytest.mark.parametrize(
    "victim", [pytest.param(0, marks=pytest.mark.slow), 1, pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_killed_rank_is_named_and_the_others_end(victim: int, tmp_path: Path) -> None:
    config, ranks = running(tmp_path, ranks=3)
    ranks[victim].send(signal.SIGKILL)
    since = time.monotonic()
    statuses = [rank.finish().status for rank in ranks]
    assert time.monotonic() - since < 20
    assert statuses == [-signal.SIGKILL if rank == victim else 1 for rank in range(3)]
    log = (config.parent / "log.txt").read_text()
    launcher = ", or the launcher," if victim == 0 else ""
    pid = ranks[victim].process.pid
    named = f"error: rank {victim} on {socket.gethostname()} pid {pid}{launcher} did not answer"
    assert log.count(named) == 1, log
    assert log.endswith("\n")


@pytest.mark.slow
def test_a_stopped_rank_is_named_at_the_time_out(tmp_path: Path) -> None:
    """SIGSTOP: what a hang in a driver or a file system looks like from outside."""
    config, ranks = running(tmp_path, timeout=0.1)
    ranks[1].send(signal.SIGSTOP)
    assert ranks[0].finish().status == 1
    ranks[1].send(signal.SIGKILL)
    ranks[1].finish()
    assert f"error: rank 1 on {socket.gethostname()} pid {ranks[1].process.pid} did" in ranks[0].err.read_text()
    assert "did not answer" in (config.parent / "log.txt").read_text()


def fail(rank: int, how: str, port: int, folder: str) -> None:
    """Rank 1 fails while rank 0 waits for it."""
    os.environ.update({**environment(), **torchrun_variables(rank, 2, port)})
    torch.set_num_threads(1)
    for descriptor in (1, 2):
        os.dup2(os.open(f"{folder}/out of rank {rank}", os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
    world = distributed.start(timeout_minutes=0.5)
    open_log(Path(folder) / "log.txt", rank=rank)
    with one_account_of_failures(world, Path(folder) / "log.txt"):
        if how == "alike":
            raise UserError("got 1, needs 2", "set it to 2")
        if rank == 1 and how == "exit":
            os._exit(0)
        if rank == 1 and how == "user":
            raise UserError("got 1, needs 2")
        if rank == 1:
            raise ZeroDivisionError("a bug of ours")
        dist.barrier()


@pytest.mark.parametrize(
    ("how", "statuses", "said"),
    [
        ("alike", [2, 2], ["error: got 1, needs 2", "error: set it to 2"]),
        ("user", [2, 2], ["error: rank 1 on HOST: got 1, needs 2"]),
        ("bug", [1, 1], ["error: rank 1 on HOST: ZeroDivisionError: a bug of ours (test_last_words.py:"]),
        ("exit", [1, 0], ["error: rank 1 on HOST did not answer: killed"]),
    ],
)
def test_one_account_of_a_failure(how: str, statuses: list[int], said: list[str], tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["main"])
    port = free_port()
    ranks = [context.Process(target=fail, args=(rank, how, port, str(tmp_path))) for rank in range(2)]
    since = time.monotonic()
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(60)
    assert time.monotonic() - since < 25
    assert [rank.exitcode for rank in ranks] == statuses
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert len(log) == len(said)
    for line, wanted in zip(log, said):
        assert wanted.replace("HOST", f"{socket.gethostname()} pid {ranks[1].pid}") in line
    printed = "".join((tmp_path / f"out of rank {rank}").read_text() for rank in range(2))
    assert [printed.count(line.split(" ", 2)[2]) for line in log] == [1] * len(log)
