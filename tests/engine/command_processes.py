"""main.py in processes of its own, forked from one that has imported torch already: real signals, real exit status.

A start costs a tenth of a second in place of the seconds that importing takes; `tests.experiments.run` starts the
command as a user does.
"""

import itertools
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import torch

import main
from tests.experiments import environment
from utils.errors import run_command

SECONDS = 120
_numbers = itertools.count()


class Finished(NamedTuple):
    """Exit status (negative: the signal that killed it) and what was printed."""

    status: int
    out: str
    err: str


class Started(NamedTuple):
    """A running command and the files of its output."""

    process: BaseProcess
    out: Path
    err: Path

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def send_all(self, number: signal.Signals) -> None:
        """To the command's whole process group, as Slurm, `timeout` and a terminal do."""
        os.killpg(self.process.pid, number)

    def wait_for(self, text: str) -> None:
        """Return once the command has printed `text`."""
        end = time.monotonic() + SECONDS
        while text not in self.out.read_text(encoding="utf-8"):
            assert time.monotonic() < end, f"no {text!r} in {SECONDS} s: {self.err.read_text()}"
            assert self.process.is_alive(), f"ended without {text!r}: {self.err.read_text()}"
            time.sleep(0.005)

    def finish(self) -> Finished:
        """Wait for the end."""
        self.process.join(SECONDS)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise AssertionError(f"not ended after {SECONDS} s: {self.out.read_text()} {self.err.read_text()}")
        return Finished(self.process.exitcode, self.out.read_text("utf-8"), self.err.read_text("utf-8"))


def _command(
    arguments: list[str], variables: dict[str, str], out: Path, err: Path, prepare: Callable[[], None] | None
) -> None:
    """In the new process, leader of a group: the command line, the environment and the output of a fresh start."""
    os.setsid()
    if prepare is not None:
        prepare()
    os.environ.clear()
    os.environ.update(variables)
    for descriptor, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), descriptor)
    torch.set_num_threads(1)
    sys.argv = ["main.py", *arguments]
    run_command(main.main)


def start(
    config: Path,
    *arguments: str,
    variables: dict[str, str] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Started:
    """Start main.py on `config`; output goes beside the experiment's folder.

    `prepare`, a function of a module, is called in the new process before anything else.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["main", __name__])
    number = next(_numbers)
    out, err = (config.parent.parent / f"{name}.{number}" for name in ("stdout", "stderr"))
    out.touch()
    err.touch()
    options = (["--config", str(config), *arguments], {**environment(), **(variables or {})}, out, err, prepare)
    process = context.Process(target=_command, args=options)
    process.start()
    return Started(process, out, err)


def run(config: Path, *arguments: str) -> Finished:
    """Run main.py on `config` to its end."""
    return start(config, *arguments).finish()


def start_ranks(config: Path, *arguments: str, ranks: int = 2) -> list[Started]:
    """Start `ranks` ranks as torchrun does; Gloo on loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        start(config, *arguments, variables={**world, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(ranks)
    ]


def run_ranks(config: Path, *arguments: str, ranks: int = 2) -> list[Finished]:
    """Run `ranks` ranks to their end."""
    return [started.finish() for started in start_ranks(config, *arguments, ranks=ranks)]


def refused(finished: Finished, config: Path) -> list[str]:
    """The lines of a refusal: status 2, no traceback, the experiment's folder as the user left it."""
    assert finished.status == 2, finished
    assert "Traceback" not in finished.err
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]
    lines = finished.err.splitlines()
    assert all(line.startswith("error: ") for line in lines), finished.err
    return [line.removeprefix("error: ") for line in lines]
