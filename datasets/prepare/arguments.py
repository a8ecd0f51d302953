"""Kinds of numbers on the command lines of this package."""

import argparse
from collections.abc import Callable


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
