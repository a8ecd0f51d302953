"""The copy of a state is written as the state itself would be, byte for byte, and keeps what it was taken of."""

import collections
import io
from typing import Any

import torch

from engine.host_copy import HostCopy


def written(state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def everything() -> dict[str, Any]:
    """Shared memory, views, channels-last strides, other types, nothing at all, a module's state_dict, plain values."""
    weight = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
    tied, part = weight.detach(), weight[2:5]
    model: dict[str, Any] = collections.OrderedDict(weight=weight, tied=tied, part=part, steps=torch.tensor(3))
    model._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    optimizer = {"momenta": [torch.ones(3, dtype=torch.bfloat16), torch.empty(0)], "betas": (0.9, 0.999)}
    return {"model": model, "optimizer": optimizer, "ema": None, "iteration": 7, "name": "tsn"}


def test_it_is_written_like_the_state_itself() -> None:
    state, host_copy = everything(), HostCopy()
    for _ in range(2):
        copied = host_copy.of(state)
        assert written(copied) == written(state)
    assert copied["model"]["weight"].stride() == state["model"]["weight"].stride()
    assert copied["model"]["tied"].data_ptr() == copied["model"]["weight"].data_ptr()


def test_it_stays_what_it_was_while_training_goes_on() -> None:
    state = everything()
    before = written(state)
    copied = HostCopy().of(state)
    state["model"]["weight"].zero_()
    state["model"]["more"] = torch.ones(1)
    state["optimizer"]["momenta"][0].add_(1)
    assert written(copied) == before != written(state)


def test_buffers_are_used_again_and_follow_a_state_that_changes() -> None:
    host_copy = HostCopy()
    first = host_copy.of({"a": torch.ones(5), "b": torch.ones(2)})
    second = host_copy.of({"a": torch.zeros(5), "b": torch.zeros(4), "c": torch.zeros(1)})
    assert second["a"].data_ptr() == first["a"].data_ptr()
    assert second["b"].data_ptr() != first["b"].data_ptr()
    assert [tensor.numel() for tensor in second.values()] == [5, 4, 1]
    assert not any(tensor.any() for tensor in second.values())
