"""How a failing run ends: one account of it for all ranks, with the rank, its host and the first cause.

Ranks tell each other through the rendezvous' key-value store, which works while a collective can't: a user's mistake
that all ranks find is printed once and is status 2 on each; a rank that says nothing at all is the one to be named.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import torch.distributed as dist

from engine.distributed import World
from engine.log import log_failure
from utils.errors import UserError

PATIENCE = 3.0  # seconds in which ranks that still run come to know of a failure
GRACE = 3.0  # seconds, after a failure was told, in which a rank ends by itself
LONGEST_TALK = 15.0  # seconds that a failing rank waits for an answer
_IN_A_COLLECTIVE = ("gloo", "Connection", "NCCL", "ncclUniqueId", "timed out", "Timed out", "Socket", "Broken pipe")
_NO_ANSWER = (
    "did not answer: killed (out of memory?), ended, or stuck; the other ranks stop; start again to go on from the "
    "last checkpoint"
)


def _is_a_peers(error: BaseException) -> bool:
    """Whether this error only says that another rank did not take part in a collective."""
    if isinstance(error, UserError) or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or any(word in str(error) for word in _IN_A_COLLECTIVE)


class Peers:
    """What this rank can tell the others, and be told, outside of collectives."""

    def __init__(self, world: World) -> None:
        self._world = world
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        client = dist.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=60))
        self._store = dist.PrefixStore("last words", client)
        self._store.set(f"host {world.rank}", f"{socket.gethostname()} pid {os.getpid()}")
        self._hosts = {rank: self._store.get(f"host {rank}").decode() for rank in range(world.size)}

    def say(self, kind: str, lines: tuple[str, ...]) -> bool:
        """Leave this rank's failure: "user", "bug" or "peer" (another one's); False: nobody keeps it any more."""
        try:
            self._store.set(f"failure {self._world.rank}", json.dumps([kind, *lines]))
            return self._store.check([f"failure {self._world.rank}"])
        except RuntimeError:
            return False

    def without_store(self) -> list[str]:
        """The account where the store is gone: it ends with rank 0, or with the launcher."""
        return [f"rank 0 on {self._hosts[0]}, or the launcher, {_NO_ANSWER}"]

    def heard(self, seconds: float) -> dict[int, list[str]]:
        """Failures by rank, once all ranks have said theirs or `seconds` have passed."""
        found: dict[int, list[str]] = {}
        end = time.monotonic() + seconds
        while len(found) < self._world.size and time.monotonic() < end:
            with contextlib.suppress(RuntimeError):
                found |= self._said_by(set(range(self._world.size)) - set(found))
            time.sleep(0.05)
        return found

    def _said_by(self, ranks: set[int]) -> dict[int, list[str]]:
        said = [rank for rank in ranks if self._store.check([f"failure {rank}"])]
        return {rank: json.loads(self._store.get(f"failure {rank}")) for rank in said}

    def has(self, word: str) -> bool:
        """Whether `word` was left; raises `RuntimeError` where the store is gone."""
        return self._store.check([word])

    def tell(self, word: str) -> None:
        """Leave `word` for the others."""
        with contextlib.suppress(RuntimeError):
            self._store.set(word, "")

    def wait_for(self, words: list[str], seconds: float) -> bool:
        """Whether all of `words` were left within `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(RuntimeError):
                if self._store.check(words):
                    return True
            time.sleep(0.05)
        return False

    def account(self, found: dict[int, list[str]]) -> list[str]:
        """Lines on who failed first: ranks with a cause of their own, else those that did not say a word."""
        own = {rank: lines for rank, (kind, *lines) in found.items() if kind != "peer"}
        everybody = len(own) == self._world.size
        lines = [
            line if everybody else f"rank {rank} on {self._hosts[rank]}: {line}"
            for rank, theirs in own.items()
            for line in theirs
        ]
        silent = [] if own else sorted(set(range(self._world.size)) - set(found))
        lines += [f"rank {rank} on {self._hosts[rank]} {_NO_ANSWER}" for rank in silent]
        return list(dict.fromkeys(lines)) or ["ranks lost each other (network?); start again to go on"]


class _Listener:
    """Ends this process some seconds after another rank's failure was told, where the main thread can't hear of it.

    It waits in a collective then, for a rank that will not come; NCCL's would wait for the whole time-out.
    """

    def __init__(self, world: World) -> None:
        self._peers = Peers(world)  # a connection of its own
        self._world = world
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True, name="last words")
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(GRACE)

    def _listen(self) -> None:
        with contextlib.suppress(RuntimeError):  # the store is gone: the main thread will know why
            while not self._peers.has("told"):
                if self._over.wait(0.5):
                    return
            if not self._over.wait(GRACE):
                self._end()

    def _end(self) -> None:
        status = _status("peer", self._peers.heard(0.2))
        self._peers.tell(f"left {self._world.rank}")
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(status)


def _lines_of(error: BaseException) -> tuple[str, ...]:
    if isinstance(error, UserError):
        return error.lines
    where = traceback.extract_tb(error.__traceback__)[-1]
    first = str(error).strip().split("\n", 1)[0]
    return (f"{type(error).__name__}: {first} ({os.path.basename(where.filename)}:{where.lineno})",)


def _fail_alone(error: Exception) -> NoReturn:
    log_failure(_lines_of(error))
    raise error


def _print(lines: list[str], log_file: Path | None) -> None:
    log_failure(lines, log_file=log_file)
    print(*(f"error: {line}" for line in lines), sep="\n", file=sys.stderr, flush=True)


def _fail_together(error: Exception, peers: Peers, world: World, log_file: Path) -> NoReturn:
    """End this rank, after a talk with the others; it takes no answer where the link to them is cut."""
    # A launcher ends the other ranks when the first one fails; their own status is the truer one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    kind = "user" if isinstance(error, UserError) else "peer" if _is_a_peers(error) else "bug"
    found: dict[int, list[str]] = {world.rank: [kind, *_lines_of(error)]}
    talk = threading.Thread(target=_talk, args=(found, peers, world, log_file), daemon=True)
    talk.start()
    talk.join(LONGEST_TALK)
    if talk.is_alive() and kind == "peer":
        _print(peers.without_store(), None)
    if kind == "bug":
        traceback.print_exception(error)
    sys.stderr.flush()
    sys.stdout.flush()
    # No further clean-up: it would wait for ranks that are gone.
    os._exit(_status(kind, found))


def _talk(found: dict[int, list[str]], peers: Peers, world: World, log_file: Path) -> None:
    """Rank 0 gives the account; where it is gone or stuck, the lowest rank that noticed does. `found` is added to."""
    kind, *lines = found[world.rank]
    if not peers.say(kind, tuple(lines)):
        if world.rank == 1:
            _print(peers.without_store() if kind == "peer" else lines, log_file)
    elif not peers.wait_for(["told"], 0.1 if world.rank == 0 else PATIENCE + 1.0):
        waited = world.rank != 0
        found |= peers.heard(0.2 if waited else PATIENCE)
        if world.rank == min(found):
            _print(peers.account(found), None if world.rank == 0 else log_file)
        peers.tell("told")
    else:
        found |= peers.heard(0.2)
    peers.tell(f"left {world.rank}")
    if world.rank == 0:  # its end may be that of the store: it goes last
        peers.wait_for([f"left {rank}" for rank in range(1, world.size)], GRACE + 1.0)


def _status(kind: str, found: dict[int, list[str]]) -> int:
    """2 where a user's mistake, on this rank or on others that this one lost by it, is all that happened."""
    causes = {kind} if kind != "peer" else {theirs[0] for theirs in found.values()} - {"peer"}
    return 2 if causes == {"user"} else 1


@contextlib.contextmanager
def one_account_of_failures(world: World, log_file: Path) -> Iterator[None]:
    """Log an error of what is run inside, and end the process as all ranks agree; alone, the error is raised on.

    `log_file` is written to by the next rank where rank 0, whose file it is, is gone.
    """
    if world.size == 1:
        try:
            yield
        except Exception as error:
            _fail_alone(error)
        return
    peers, listener = Peers(world), _Listener(world)
    try:
        yield
    except Exception as error:
        listener.stop()
        _fail_together(error, peers, world, log_file)
    listener.stop()
    peers.tell(f"done {world.rank}")
    if world.rank == 0:  # its end may be that of the store
        peers.wait_for([f"done {rank}" for rank in range(world.size)], GRACE)
