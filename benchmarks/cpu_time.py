"""CPU seconds of this process and of the children that have ended."""

import gc
import resource
from collections.abc import Callable, Iterator
from typing import Any


def cpu_seconds() -> float:
    """User and system time so far, of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def cpu_of_loader(make: Callable[[], Iterator[Any]]) -> float:
    """CPU seconds from making the loader to the end of its workers: theirs, and the hand-over here."""
    gc.collect()  # not in the middle of it
    before = cpu_seconds()
    for _ in make():  # its workers have ended after the last batch
        pass
    return cpu_seconds() - before
