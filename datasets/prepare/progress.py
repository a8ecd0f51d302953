"""A progress bar with rate and time left; seldom lines where the output is not a terminal."""

import sys
from collections.abc import Iterable

from tqdm import tqdm


def progress_bar(items: Iterable | None, *, total: int, what: str) -> tqdm:
    """tqdm over `items` (or by hand), counting in `what`."""
    seconds = 0.1 if sys.stderr.isatty() else 15.0
    return tqdm(items, total=total, desc=what, unit=what.rstrip("s"), mininterval=seconds, maxinterval=seconds)
