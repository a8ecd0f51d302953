"""A progress bar with rate and time left; seldom lines where the output is not a terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress_bar(items: Iterable[Any], *, total: int, what: str) -> tqdm:
    """tqdm over `items` counting in `what`."""
    seconds = 0.1 if sys.stderr.isatty() else 15.0
    return tqdm(items, total=total, desc=what, unit="video", mininterval=seconds, maxinterval=seconds)
