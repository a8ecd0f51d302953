"""Tensors on their way from a loader's worker to the main process, each in anonymous memory of its own.

PyTorch's way needs room in /dev/shm (64 MB in many containers), a file name that a kill leaves behind, and an answer
of the worker when the tensor is received. Here a descriptor of the memory is sent ahead, and that is all.
"""

import itertools
import mmap
import os
import socket
import weakref
from typing import Any

import torch

_ALL: "weakref.WeakValueDictionary[int, HandOver]" = weakref.WeakValueDictionary()
_NUMBERS = itertools.count()
_KEY_BYTES = 64


class HandOver:
    """A way for tensors from processes that are forked after this is made to this process."""

    def __init__(self) -> None:
        self.number = next(_NUMBERS)
        self._receiving, self._sending = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._waiting: dict[bytes, int] = {}
        self._sent = itertools.count()
        _ALL[self.number] = self
        weakref.finalize(self, _close_all, self._waiting).atexit = False

    def send(self, tensor: torch.Tensor) -> "SentTensor":
        """What becomes the uint8 `tensor` where it is unpickled: in the main process, once."""
        descriptor = os.memfd_create("video-analysis")
        try:
            os.ftruncate(descriptor, tensor.numel())
            torch.frombuffer(mmap.mmap(descriptor, tensor.numel()), dtype=torch.uint8).copy_(tensor.reshape(-1))
            key = b"%d %d" % (os.getpid(), next(self._sent))
            socket.send_fds(self._sending, [key], [descriptor])
        finally:
            os.close(descriptor)
        return SentTensor(self.number, key, tuple(tensor.shape))

    def receive(self, key: bytes, shape: tuple[int, ...]) -> torch.Tensor:
        """The tensor that was sent under `key`; raises `OSError` (EMFILE) where no more files can be open."""
        while key not in self._waiting:
            name, descriptors, _, _ = socket.recv_fds(self._receiving, _KEY_BYTES, 1)
            if not descriptors:
                os.close(os.dup(self._receiving.fileno()))  # raises what kept the descriptor away
            self._waiting[name] = descriptors[0]
        descriptor = self._waiting.pop(key)
        memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
        os.close(descriptor)
        return torch.frombuffer(memory, dtype=torch.uint8).reshape(shape)


class SentTensor:
    """A tensor on its way; unpickled, it is the tensor."""

    def __init__(self, *arguments: Any) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return _arrived, self._arguments


def _close_all(descriptors: dict[bytes, int]) -> None:
    for descriptor in descriptors.values():
        os.close(descriptor)


def _arrived(number: int, key: bytes, shape: tuple[int, ...]) -> torch.Tensor:
    return _ALL[number].receive(key, shape)
