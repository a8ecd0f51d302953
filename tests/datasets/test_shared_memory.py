"""Blocks of shared memory: written in a fork, seen here, given back when nobody looks at them."""

import os
from collections.abc import Callable

import pytest
import torch

from datasets.shared_memory import SharedMemory


def in_a_fork(function: Callable[[], object]) -> int:
    """The exit status of a forked process that calls `function`."""
    process = os.fork()
    if process == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.fixture
def memory() -> SharedMemory:
    return SharedMemory(count=2, nbytes=24)


def test_what_a_fork_writes_is_seen_here(memory: SharedMemory) -> None:
    block = memory.take()
    assert block == 0
    assert in_a_fork(lambda: memory.view(block, (2, 3)).__setitem__(slice(None), 7)) == 0
    assert memory.open(block, (2, 3)).tolist() == [[7, 7, 7], [7, 7, 7]]


def test_a_block_is_free_when_its_last_view_is_gone(memory: SharedMemory) -> None:
    tensors = [memory.open(block, (4, 3)) for block in (memory.take(), memory.take()) if block is not None]
    assert memory.take() is None
    view = tensors.pop()[1:, 2]
    assert memory.take() is None
    assert view.sum() == 0
    del view
    assert memory.take() == 1
    tensors[0] += 1  # and the other one is still its own
    assert torch.equal(tensors[0], torch.ones(4, 3, dtype=torch.uint8))


def test_more_than_a_block_holds_is_our_mistake(memory: SharedMemory) -> None:
    with pytest.raises(ValueError):
        memory.view(0, (5, 5))
