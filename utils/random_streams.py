"""Random numbers as a function of (seed, purpose, position), never of the worker or rank that draws them.

So a run that is resumed at any iteration, with any number of workers, sees the same samples with the same
augmentation, bit for bit, and nothing about random state has to be saved.
"""

import zlib

import numpy as np


def _seed_sequence(seed: int, purpose: str, position: tuple[int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *position])


def stream(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """A fresh generator for one draw: `stream(seed, "crop", 1234)` is the same on every machine."""
    return np.random.Generator(np.random.PCG64(_seed_sequence(seed, purpose, position)))


def torch_seed(seed: int, purpose: str, *position: int) -> int:
    """A 63-bit seed for torch's own generators (dropout), from the same (seed, purpose, position)."""
    return int(_seed_sequence(seed, purpose, position).generate_state(1, np.uint64)[0] >> 1)
