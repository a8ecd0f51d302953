"""Tensors of forked workers arrive as they were, whatever the room in /dev/shm, and leave no open file behind."""

import os
import pickle
import resource
import socket

import pytest
import torch

from datasets.hand_over import HandOver
from tests.datasets.test_shared_memory import in_a_fork


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def sent(hand_over: HandOver, *tensors: torch.Tensor) -> list[bytes]:
    """What a fork pickles of the tensors that it sends."""
    reader, writer = os.pipe()
    in_a_fork(lambda: [os.write(writer, pickle.dumps(hand_over.send(tensor)).ljust(400)) for tensor in tensors])
    os.close(writer)
    with open(reader, "rb") as file:
        return [file.read(400) for _ in tensors]


def test_tensors_of_a_fork_arrive_in_any_order() -> None:
    hand_over, before = HandOver(), open_files()
    tensors = [torch.randint(256, shape, dtype=torch.uint8) for shape in ((3, 5, 2), (1,), (70_000,))]
    first, second, third = sent(hand_over, *tensors)
    arrived = [pickle.loads(third), pickle.loads(first), pickle.loads(second)]
    assert all(torch.equal(tensor, tensors[place]) for tensor, place in zip(arrived, (2, 0, 1)))
    arrived[0] += 1
    del arrived
    assert open_files() == before


def test_what_nobody_received_is_closed() -> None:
    before = open_files()
    hand_over = HandOver()
    _, last = sent(hand_over, torch.zeros(8, dtype=torch.uint8), torch.ones(8, dtype=torch.uint8))
    assert pickle.loads(last).sum() == 8
    del hand_over
    assert open_files() == before


def test_too_many_open_files_are_an_error_not_a_hang() -> None:
    hand_over = HandOver()
    (item,) = sent(hand_over, torch.ones(8, dtype=torch.uint8))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept = [socket.socket() for _ in range(2)]  # the highest descriptor is at least as high as the number of them
    resource.setrlimit(resource.RLIMIT_NOFILE, (kept[0].fileno(), limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            pickle.loads(item)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for each in kept:
            each.close()
