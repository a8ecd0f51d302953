"""A state's tensors copied into CPU memory, so that training may change them while the copy is written."""

import copy
from typing import Any

import torch


class HostCopy:
    """Copies states into the same buffers every time: memory that is touched for the first time costs more than a copy.

    The buffers are page-locked for tensors of a GPU. A copy is good until the next one is made.
    """

    def __init__(self) -> None:
        self._buffers: list[torch.Tensor] = []

    def of(self, state: dict[str, Any]) -> dict[str, Any]:
        """`state` with its tensors on the CPU; those that share memory still do, strides stay as they are."""
        seen: dict[int, torch.Tensor] = {}
        copied = self._copy(state, seen)
        if torch.cuda.is_available():
            torch.cuda.current_stream().synchronize()  # page-locked copies are asynchronous
        return copied

    def _copy(self, value: Any, seen: dict[int, torch.Tensor]) -> Any:
        if isinstance(value, torch.Tensor):
            return self._tensor(value, seen)
        if isinstance(value, dict):
            twin = copy.copy(value)  # with the attribute that a module's state_dict carries
            twin.update({key: self._copy(part, seen) for key, part in value.items()})
            return twin
        if isinstance(value, list | tuple):
            return type(value)(self._copy(part, seen) for part in value)
        return value

    def _tensor(self, tensor: torch.Tensor, seen: dict[int, torch.Tensor]) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:
            whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
            seen[storage._cdata] = self._buffer(len(seen), whole).copy_(whole, non_blocking=True)
        memory = seen[storage._cdata].untyped_storage()
        return torch.empty(0, dtype=tensor.dtype).set_(memory, tensor.storage_offset(), tensor.size(), tensor.stride())

    def _buffer(self, number: int, source: torch.Tensor) -> torch.Tensor:
        """Buffer `number`, as large as `source`: the one of the copy before where it fits."""
        if number < len(self._buffers) and self._buffers[number].numel() == source.numel():
            return self._buffers[number]
        buffer = torch.empty(source.numel(), dtype=torch.uint8, pin_memory=source.device.type == "cuda")
        self._buffers[number : number + 1] = [buffer]
        return buffer
