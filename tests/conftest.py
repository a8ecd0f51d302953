"""What every test shares: one torch thread, and marks that skip where the hardware or the data is absent."""

import os
from collections.abc import Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: processes that the tests start go by it too

import pytest
import torch

from tests.engine.command_processes import run
from tests.experiments import write_experiment

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """A command run inside a test may ask for more threads, and a process forked after them would wait for ever."""
    yield
    torch.set_num_threads(1)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A small experiment's config file."""
    return write_experiment(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment trained for 6 iterations; only looked at."""
    config = write_experiment(tmp_path_factory.mktemp("trained"))
    assert run(config).status == 0
    return config


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(skip)
