"""Memory that loader workers write batches into and the main process reads, allocated once and used again and again.

Handing a batch over costs nothing then: no copy, no file, no page that the kernel has to clear first.
"""

import itertools
import math
import mmap
import weakref
from collections import deque
from typing import Any

import numpy as np
import torch

_POOLS: "weakref.WeakValueDictionary[int, SharedMemory]" = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()


class SharedMemory:
    """`count` blocks of `nbytes`, shared with the processes that are forked after this is made.

    The main process takes a block, a worker fills it, the main process opens it; when the last tensor that looks at
    it is gone, it may be taken again.
    """

    def __init__(self, *, count: int, nbytes: int) -> None:
        self.number = next(_NUMBERS)
        self._blocks = [mmap.mmap(-1, nbytes) for _ in range(count)]  # anonymous: no limit of /dev/shm applies
        self._free = deque(range(count))
        _POOLS[self.number] = self

    def take(self) -> int | None:
        """A block that nobody looks at; None where there is none."""
        return self._free.popleft() if self._free else None

    def view(self, block: int, shape: tuple[int, ...]) -> np.ndarray:
        """The first bytes of a block, uint8 of `shape`."""
        return np.frombuffer(self._blocks[block], dtype=np.uint8, count=math.prod(shape)).reshape(shape)

    def open(self, block: int, shape: tuple[int, ...]) -> torch.Tensor:
        """The block as a tensor that gives it back when it, and all views of it, are gone."""
        array = self.view(block, shape)
        weakref.finalize(array, self._free.append, block).atexit = False
        return torch.from_numpy(array)


class SentBlock:
    """A block that a fork has filled, on its way: unpickled in the process that made the memory, it is the tensor."""

    def __init__(self, number: int, block: int, shape: tuple[int, ...]) -> None:
        self._arguments = (number, block, shape)

    def __reduce__(self) -> tuple[Any, ...]:
        return _opened, self._arguments


def _opened(number: int, block: int, shape: tuple[int, ...]) -> torch.Tensor:
    return _POOLS[number].open(block, shape)
