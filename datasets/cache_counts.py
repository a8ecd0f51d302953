"""What memcached servers did for a loader's processes, told in the log."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from datasets.frame_sources.memcached import Memcached

LOGGER = logging.getLogger("video_analysis")
EVERY_SECONDS = 600.0
Item = TypeVar("Item")


def with_counts(items: Iterable[Item], cache: Memcached | None, *, name: str, last: int) -> Iterator[Item]:
    """`items`; beside them, every ten minutes and at the one whose number is `last`, a line on `cache`."""
    told = time.monotonic()
    for number, item in enumerate(items, start=1):
        now = time.monotonic()
        if cache and (number == last or now - told >= EVERY_SECONDS):
            told = now
            LOGGER.info("memcached for %s, so far: %s", name, counts_line(cache.counts()))
        yield item


def counts_line(counts: dict[str, int]) -> str:
    """Of this rank's processes: 1200 hits, 40 misses (97 % hits), ..."""
    frames = counts["hits"] + counts["misses"]
    share = f" ({100 * counts['hits'] / frames:.0f} % hits)" if frames else ""
    return (
        f"{counts['hits']} hits, {counts['misses']} misses{share}, {counts['wrong']} values with wrong bytes, "
        f"{counts['faults']} errors of servers, {counts['refused']} times too large"
    )
