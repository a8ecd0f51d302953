"""Kinds of numbers on the command lines of this package."""

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """A `type` for argparse: a whole number from `lowest` to `highest`."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and lowest <= int(text) <= highest):
            raise argparse.ArgumentTypeError(f"got {text!r}, needs a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def frame_size(highest: int) -> Callable[[str], tuple[int, int]]:
    """A `type` for argparse: `340x256` becomes (width, height), each at most `highest`."""

    def parse(text: str) -> tuple[int, int]:
        parts = text.lower().split("x")
        if len(parts) != 2 or not all(part.isdecimal() and 1 <= int(part) <= highest for part in parts):
            raise argparse.ArgumentTypeError(f"got {text!r}, needs WIDTHxHEIGHT in pixels, e.g. 340x256")
        return int(parts[0]), int(parts[1])

    return parse


def frame_rate(highest: float) -> Callable[[str], float]:
    """A `type` for argparse: frames a second, above 0 and at most `highest`."""

    def parse(text: str) -> float:
        try:
            rate = float(text)
        except ValueError:
            rate = 0.0
        if not 0.0 < rate <= highest:
            raise argparse.ArgumentTypeError(f"got {text!r}, needs a number above 0, at most {highest:g}")
        return rate

    return parse


class Shard(NamedTuple):
    """Part `number` (from 0) of `parts` of the work."""

    number: int
    parts: int


def shard(text: str) -> Shard:
    """A `type` for argparse: `i/n` becomes the i-th (from 0) of n parts."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise argparse.ArgumentTypeError(f"got {text!r}, needs I/N with I from 0 to N - 1, e.g. 0/4")
    return Shard(int(number), int(count))


def slurm_shard(environment: Mapping[str, str]) -> Shard | None:
    """This task's part of a job step that srun started; None elsewhere, in a batch script itself too."""
    if "SLURM_STEP_NUM_TASKS" not in environment:
        return None
    try:
        part = Shard(int(environment["SLURM_PROCID"]), int(environment["SLURM_STEP_NUM_TASKS"]))
    except (KeyError, ValueError):
        return None
    return part if 0 <= part.number < part.parts else None
