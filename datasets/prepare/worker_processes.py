"""Work on many files in processes of their own, where a file may crash or hang whoever reads it."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from multiprocessing.context import SpawnContext
from typing import Any, NamedTuple

SIGN_SECONDS = 0.5


class Outcome(NamedTuple):
    """What became of a task: its `result`, or `failure` says how its process ended."""

    task: Any
    result: Any
    failure: str | None


def run_in_processes(
    work: Callable[[Any], Iterator[Any]], tasks: Sequence[Any], *, workers: int, patience: float
) -> Iterator[Outcome]:
    """Do `work(task)` for every task on `workers` processes; yields one `Outcome` each, in the order they end.

    `work` (picklable) is a generator: None is a sign of life, its last value is the result. A process that dies, or
    gives no sign for `patience` seconds, costs its task only: a new one takes its place. When the caller stops
    early, or is killed, the processes end too.
    """
    context = multiprocessing.get_context("spawn")
    crew = [_Worker(context, work) for _ in range(min(workers, len(tasks)))]
    try:
        yield from _outcomes(crew, iter(tasks), patience)
    finally:
        for worker in crew:
            worker.stop()


def _outcomes(crew: list["_Worker"], waiting: Iterator[Any], patience: float) -> Iterator[Outcome]:
    busy = list(crew)
    for worker in busy:
        worker.give(next(waiting))
    while busy:
        connection.wait([worker.pipe for worker in busy], timeout=SIGN_SECONDS)
        ended = [(worker, outcome) for worker in busy if (outcome := worker.outcome(patience))]
        for worker, outcome in ended:
            task = next(waiting, None)
            if task is None:
                busy.remove(worker)
            else:
                worker.give(task)
            yield outcome


class _Worker:
    """One process, started again when it is lost."""

    def __init__(self, context: SpawnContext, work: Callable[[Any], Iterator[Any]]) -> None:
        self._context, self._work = context, work
        self._task: Any = None
        self._start()

    def _start(self) -> None:
        self.pipe, other_end = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(self._work, other_end), daemon=True)
        self._process.start()
        other_end.close()

    def give(self, task: Any) -> None:
        """Start on a task."""
        self._task, self._last_sign = task, time.monotonic()
        try:
            self.pipe.send(task)
        except OSError:  # it died idle
            self.stop()
            self._start()
            self.pipe.send(task)

    def outcome(self, patience: float) -> Outcome | None:
        """What became of the task, None while it is being worked on."""
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                self._last_sign = time.monotonic()
                if message is not None:
                    return Outcome(self._task, message, None)
        except (EOFError, OSError):
            self._process.join(10)
            return self._lost(_how_it_ended(self._process.exitcode))
        if time.monotonic() - self._last_sign > patience:
            return self._lost(f"no progress for {patience:g} s")
        return None

    def _lost(self, failure: str) -> Outcome:
        self.stop()
        self._start()
        return Outcome(self._task, None, failure)

    def stop(self) -> None:
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"its process ended with status {exitcode}"
    hint = " (out of memory?)" if -exitcode == signal.SIGKILL else ""
    return f"its process crashed: {signal.Signals(-exitcode).name}{hint}"


def _serve(work: Callable[[Any], Iterator[Any]], pipe: connection.Connection) -> None:
    """The life of a worker process: tasks come in, signs of life and results go out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business, which then stops us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        last_sign = 0.0
        for message in work(task):
            if message is not None or time.monotonic() - last_sign > SIGN_SECONDS:
                pipe.send(message)
                last_sign = time.monotonic()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    connection.wait([parent.sentinel])
    os._exit(1)
