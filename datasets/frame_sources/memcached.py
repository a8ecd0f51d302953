"""memcached servers in front of any source of frames: what they have needn't be read from disk or decoded.

Nothing depends on them. A server that is dead, hangs, or sends wrong bytes costs a moment and a warning, and frames
come from where they lie. A value is kept under a hash of its name, with a checksum over its name and its bytes, so
that neither damage nor another's value is ever taken for a frame.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.sharedctypes import RawArray
from typing import Any

from pymemcache.client.base import Client
from pymemcache.client.rendezvous import RendezvousHash
from pymemcache.exceptions import MemcacheError, MemcacheServerError

from datasets.frame_sources.outages import OncePerMinute, Outages
from datasets.frame_sources.server_clients import ServerClients

LOGGER = logging.getLogger("video_analysis")
CHECKSUM_BYTES = 16
LARGEST_VALUE = 1_000_000  # memcached refuses items above 1 MiB, its own header included
FAULTS = (OSError, MemcacheError, ValueError, LookupError)  # what pymemcache raises, also at an answer that is none
SLOTS = 512  # of counts: two processes that add to one number at once would lose some
COUNTS = ("hits", "misses", "wrong", "faults", "refused")


class Memcached:
    """A client of `servers` (`host:port` each), opened anew in every process and thread that uses it.

    `timeout` bounds connecting and each answer, in seconds: a server that hangs costs twice that at most, once.
    It is tried again after `retry_seconds`, then ever more seldom.
    """

    def __init__(self, *, servers: Sequence[str], timeout: float = 0.4, retry_seconds: float = 30.0) -> None:
        self.servers = list(servers)
        self._options = {"timeout": timeout, "retry_seconds": retry_seconds}
        self._ring = RendezvousHash(nodes=self.servers, hash_function=_hash)
        self._outages = Outages(count=len(self.servers), first_pause=retry_seconds)
        self._clients = ServerClients(servers=self.servers, timeout=timeout)
        self._counts = RawArray("q", SLOTS * len(COUNTS))  # of all processes that are forked from here on
        self._wrong_warning = OncePerMinute()

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.servers, self._options)

    def counts(self) -> dict[str, int]:
        """Frames so far, in this process and those forked from it: hits, misses, `wrong` bytes.

        And `faults` of servers, and clips with frames that are too large (`refused`).
        """
        return {what: sum(self._counts[place :: len(COUNTS)]) for place, what in enumerate(COUNTS)}

    def describe(self) -> str:
        """A line for the log."""
        return f"memcached in front: {', '.join(self.servers)}"

    def through(self, group: str, names: Sequence[str], fetch: Callable[[list[int]], list[bytes]]) -> list[bytes]:
        """The value of each of `names`: from the server of `group`, else from `fetch`, which gets their places.

        What was fetched is then put on the server. A group (a video) lies on one server, so this asks but one.
        """
        server = self.servers.index(self._ring.get_node(group))
        keys = [_key(name) for name in names]
        stored = self._ask(server, lambda client: client.get_many([key for key, _ in keys])) or {}
        values = [self._checked(stored.get(key), check) for key, check in keys]
        missing = [place for place, value in enumerate(values) if value is None]
        self._count("hits", len(values) - len(missing))
        self._count("misses", len(missing))
        if not missing:
            return [value for value in values if value is not None]
        fresh = dict(zip(missing, fetch(missing), strict=True))
        self._put(server, {keys[place][0]: _sealed(value, keys[place][1]) for place, value in fresh.items()})
        return [fresh[place] if value is None else value for place, value in enumerate(values)]

    def _put(self, server: int, values: dict[str, bytes]) -> None:
        fitting = {key: value for key, value in values.items() if len(value) <= LARGEST_VALUE}
        stored = self._ask(server, lambda client: _store(client, fitting)) if fitting else True
        if len(fitting) < len(values) or stored is False:
            self._count("refused", 1)

    def _checked(self, stored: bytes | None, check: bytes) -> bytes | None:
        if stored is None:
            return None
        value = stored[CHECKSUM_BYTES:]
        if stored[:CHECKSUM_BYTES] == _checksum(value, check):
            return value
        self._count("wrong", 1)
        if self._wrong_warning.may(time.monotonic()):
            LOGGER.warning(
                "memcached: a value with a wrong checksum (%d so far); such frames are read from where they lie",
                self.counts()["wrong"],
            )
        return None

    def _ask(self, server: int, question: Callable[[Client], Any]) -> Any:
        """The answer, None where there is none; a connection that the server has closed meanwhile is made anew."""
        if not self._outages.may_try(server):
            return None
        try:
            answer = self._clients.ask(server, question)
        except FAULTS as error:
            self._count("faults", 1)
            if self._outages.failed(server):
                LOGGER.warning(
                    "memcached %s does not answer (%s: %s): frames are read without it, it is tried again later",
                    *(self.servers[server], type(error).__name__, error),
                )
            return None
        if self._outages.answered(server):
            LOGGER.info("memcached %s answers again", self.servers[server])
        return answer

    def _count(self, what: str, by: int) -> None:
        self._counts[os.getpid() % SLOTS * len(COUNTS) + COUNTS.index(what)] += by


def _made(servers: list[str], options: dict[str, float]) -> Memcached:
    return Memcached(servers=servers, **options)


def _store(client: Client, values: dict[str, bytes]) -> bool:
    """Whether the server took the values; one that finds them too large is no broken server."""
    try:
        return not client.set_many(values, noreply=False)
    except MemcacheServerError:
        client.close()  # answers to the rest may be under way; the next question opens it again
        return False


def _hash(text: str, seed: int) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8, salt=seed.to_bytes(8, "big"))
    return int.from_bytes(digest.digest(), "big")


def _key(name: str) -> tuple[str, bytes]:
    """A key that servers accept, whatever the name, and what the checksum is keyed with."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=32).digest()
    return f"va1:{digest[:20].hex()}", digest


def _checksum(value: bytes, check: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=CHECKSUM_BYTES, key=check).digest()


def _sealed(value: bytes, check: bytes) -> bytes:
    return _checksum(value, check) + value
