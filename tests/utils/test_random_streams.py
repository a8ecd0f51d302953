"""Streams: fixed numbers, no two alike, and none that leaves a trace on another."""

import itertools
import subprocess
import sys

import numpy as np
import torch

from tests.shared_material import REPOSITORY
from utils.random_streams import stream, torch_seed

GOLDEN = "[490, 624, 896, 576, 832]"


def test_a_stream_is_the_same_in_every_process() -> None:
    """Resuming on another machine rests on these very numbers."""
    script = "from utils.random_streams import stream; print(stream(7, 'crop', 1234).integers(1000, size=5).tolist())"
    command = [sys.executable, "-c", script]
    out = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert out.strip() == GOLDEN
    assert str(stream(7, "crop", 1234).integers(1000, size=5).tolist()) == GOLDEN


def test_seed_purpose_and_every_position_count() -> None:
    keys = itertools.product((0, 1), ("crop", "flip"), (0, 1, 2**40), (0, 1))
    draws = {stream(seed, purpose, *position).integers(2**62) for seed, purpose, *position in keys}
    assert len(draws) == 24


def test_neighbouring_positions_are_uncorrelated() -> None:
    draws = np.array([stream(0, "crop", i).random(3) for i in range(4000)])
    assert np.abs(draws.mean(axis=0) - 0.5).max() < 0.02
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.05
    assert np.abs(np.corrcoef(draws.T) - np.eye(3)).max() < 0.05


def test_torch_seeds_are_63_bits_and_differ() -> None:
    seeds = [torch_seed(3, "dropout", iteration, rank) for iteration in range(100) for rank in range(4)]
    assert len(set(seeds)) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62
    assert torch_seed(3, "dropout", 5, 1) == seeds[21]
    torch.manual_seed(max(seeds))


def test_a_stream_leaves_the_global_generators_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    first = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    stream(0, "crop", 1).random(10)
    torch_seed(0, "dropout", 1)
    assert (torch.rand(1), np.random.rand()) == first
