"""What every format says of itself: its tables of renames, how it wraps them in a file, what its networks need."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

from networks.checkpoint_formats.renames import Table, Tensors

CLASSIFIER = "classifier."
BACKBONE = "backbone."
Options = dict[str, Any]


class Described(NamedTuple):
    """A network as its keys and shapes describe it: `method` ("" where the keys can't tell) and `options` of it."""

    method: str
    options: Options


def _as_it_is(tensors: Tensors) -> Tensors:
    return tensors


def _unwrapped(tensors: Tensors, _: Tensors, __: Described) -> Tensors:
    return tensors


def _nothing(_: Mapping[str, torch.Tensor], __: str) -> Options:
    return {}


def _nothing_known(_: Mapping[str, torch.Tensor]) -> Described:
    return Described("", {})


def _no_limit(_: Mapping[str, torch.Tensor], __: Described) -> str:
    return ""


def _no_tensors(_: Mapping[str, torch.Tensor]) -> Tensors:
    return {}


class Format(NamedTuple):
    """A family of checkpoints.

    `name` is the word for it on the command line, `title` in the log; `key` is what a file keeps the tensors under.
    `unwrap` prepares the peer's tensors for the tables, and `wrap(theirs, ours, description)` undoes it; `describe`
    reads off the peer's own keys what they say of the method. `settings(tensors under our keys, method)` are the
    options that the method needs to give the peer's scores; "mean" and "std" among them are the normalisation.
    `implied(tensors under our keys)` are tensors of ours that its networks lack because they would be 0.
    `methods` are those that the system has, where names alone can't tell them from others; `limit(tensors under our
    keys, description)` says what of a network it has no counterpart for though its names would pass.
    Keys that start with one of `harmless` are no weights of the network.
    """

    name: str
    title: str
    key: str
    tables: tuple[Table, ...]
    unwrap: Callable[[Tensors], Tensors] = _as_it_is
    wrap: Callable[[Tensors, Tensors, Described], Tensors] = _unwrapped
    describe: Callable[[Mapping[str, torch.Tensor]], Described] = _nothing_known
    settings: Callable[[Mapping[str, torch.Tensor], str], Options] = _nothing
    implied: Callable[[Mapping[str, torch.Tensor]], Tensors] = _no_tensors
    methods: frozenset[str] = frozenset()
    limit: Callable[[Mapping[str, torch.Tensor], Described], str] = _no_limit
    harmless: tuple[str, ...] = ()
