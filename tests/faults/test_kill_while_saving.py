"""200 kills (SIGKILL) of a process that saves in a tight loop: no unreadable checkpoint, no acknowledged save lost."""

import multiprocessing
import random
import time
from pathlib import Path

import pytest

from engine.checkpoint import BEST, LATEST, load_checkpoint, remove_leftovers, save_checkpoint
from engine.checkpoint_choice import find_checkpoint
from tests.engine.test_checkpoint import names, state

TRIALS = 200
NUMBERS = 500_000  # 2 MB: a save takes some milliseconds, so a random kill is likely inside of one


def save_and_acknowledge(folder: str, first: int, acknowledged: str) -> None:
    """Save at iterations from `first` on; a save counts once a byte of `acknowledged` says so."""
    with open(acknowledged, "ab", buffering=0) as said:
        for iteration in range(first, first + 100_000):
            save_checkpoint(Path(folder), state(iteration, NUMBERS), best=iteration % 3 == 0, keep=2)
            said.write(b".")


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(600)
def test_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    folder, acknowledged = tmp_path / "experiment", tmp_path / "acknowledged"
    folder.mkdir()
    rng = random.Random(5)
    save_checkpoint(folder, state(0, NUMBERS), best=True, keep=2)
    inside = 0
    first = 1
    for _ in range(TRIALS):
        acknowledged.write_bytes(b"")
        arguments = (str(folder), first, str(acknowledged))
        process = multiprocessing.get_context("fork").Process(daemon=True, target=save_and_acknowledge, args=arguments)
        process.start()
        while acknowledged.stat().st_size == 0:
            time.sleep(0.001)
        process.join(rng.uniform(0, 0.05))
        process.kill()
        process.join()
        inside += any(name.endswith(".tmp") for name in names(folder))
        last = first + acknowledged.stat().st_size - 1
        found = find_checkpoint(folder)
        assert found.path.name == LATEST
        assert found.damaged == []
        assert found.state["iteration"] in (last, last + 1), "an acknowledged save was lost"
        assert load_checkpoint(folder / BEST)["iteration"] % 3 == 0
        remove_leftovers(folder)
        first = found.state["iteration"] + 1
    assert inside >= TRIALS // 10, f"only {inside} kills met a save"
