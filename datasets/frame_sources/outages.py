"""Which servers don't answer at present, known to all processes that were forked after this was made."""

import multiprocessing
import time
from multiprocessing.sharedctypes import RawArray

LONGEST_PAUSE = 600.0
LOCK_SECONDS = 0.1  # a process may be killed while it holds the lock: nobody waits for it


class Outages:
    """A pause for each of `count` servers: `first_pause` seconds at first, twice as long after every vain retry."""

    def __init__(self, *, count: int, first_pause: float) -> None:
        self._first_pause = first_pause
        self._until = RawArray("d", count)  # of the monotonic clock, which processes share; 0: answers
        self._pause = RawArray("d", count)
        self._lock = multiprocessing.get_context("fork").Lock()

    def may_try(self, server: int) -> bool:
        """Whether the server answers or its pause is over; one process at a time is let through to try again."""
        now = time.monotonic()
        if self._until[server] == 0.0:
            return True
        if now < self._until[server] or not self._lock.acquire(timeout=LOCK_SECONDS):
            return False
        try:
            if now < self._until[server]:
                return False
            self._lengthen(server, now)  # what the others see while this one tries
            return True
        finally:
            self._lock.release()

    def failed(self, server: int) -> bool:
        """Note that it did not answer; whether this is the beginning of an outage."""
        held = self._lock.acquire(timeout=LOCK_SECONDS)
        try:
            begins = self._until[server] == 0.0
            if begins:
                self._lengthen(server, time.monotonic())
            return begins
        finally:
            if held:
                self._lock.release()

    def answered(self, server: int) -> bool:
        """Note that it did answer; whether this is the end of an outage."""
        ends = self._until[server] != 0.0
        self._until[server] = self._pause[server] = 0.0
        return ends

    def _lengthen(self, server: int, now: float) -> None:
        self._pause[server] = min(LONGEST_PAUSE, 2 * self._pause[server] or self._first_pause)
        self._until[server] = now + self._pause[server]


class OncePerMinute:
    """Lets the first through, and then one a minute at most, of all processes that were forked after this was made."""

    def __init__(self) -> None:
        self._last = RawArray("d", 1)  # 0: never yet

    def may(self, now: float) -> bool:
        """Whether `now`, by the monotonic clock, is late enough; noted if it is."""
        if self._last[0] and now - self._last[0] < 60.0:
            return False
        self._last[0] = now
        return True
