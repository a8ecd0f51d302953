"""200 kills (SIGKILL) of a process that saves in a tight loop: no unreadable checkpoint, no acknowledged save lost."""

import multiprocessing
import random
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.checkpoint import BEST, LATEST, load_checkpoint, remove_leftovers, save_checkpoint
from engine.checkpoint_choice import find_checkpoint
from engine.checkpoint_writer import CheckpointWriter
from engine.log import LOGGER, open_log
from tests.engine.test_checkpoint import names, state

TRIALS = 200
NUMBERS = 500_000  # 2 MB: a save takes some milliseconds, so a random kill is likely inside of one


def save_and_wait(folder: Path, first: int, log_file: Path) -> None:
    """Save at iterations from `first` on; a save counts once the log says so."""
    open_log(log_file, rank=0)
    for iteration in range(first, first + 100_000):
        save_checkpoint(folder, state(iteration, NUMBERS), best=iteration % 3 == 0, keep=2)
        LOGGER.info("checkpoint of iteration %d written", iteration)


def save_in_background(folder: Path, first: int, log_file: Path) -> None:
    """The same by the writer, which says so itself."""
    open_log(log_file, rank=0)
    with CheckpointWriter(folder, extra={}, keep=2, background=True) as writer:
        for iteration in range(first, first + 100_000):
            writer.start(state(iteration, NUMBERS), best=iteration % 3 == 0)


def acknowledged(log_file: Path) -> list[int]:
    """Iterations whose save was said to be on disk, in whole lines."""
    return [int(number) for number in re.findall(r"checkpoint of iteration (\d+) written.*\n", log_file.read_text())]


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("saving", [save_and_wait, save_in_background])
def test_kills_lose_nothing_that_was_acknowledged(saving: Callable[[Path, int, Path], None], tmp_path: Path) -> None:
    folder, log_file = tmp_path / "experiment", tmp_path / "log.txt"
    folder.mkdir()
    rng = random.Random(5)
    save_checkpoint(folder, state(0, NUMBERS), best=True, keep=2)
    inside = 0
    first = 1
    for _ in range(TRIALS):
        log_file.write_bytes(b"")
        process = multiprocessing.get_context("fork").Process(
            daemon=True, target=saving, args=(folder, first, log_file)
        )
        process.start()
        while log_file.stat().st_size == 0:
            time.sleep(0.001)
        process.join(rng.uniform(0, 0.05))
        process.kill()
        process.join()
        inside += any(name.endswith(".tmp") for name in names(folder))
        said = acknowledged(log_file)
        assert said == list(range(first, first + len(said))), "saves were told in another order, or twice"
        found = find_checkpoint(folder)
        assert found.path.name == LATEST
        assert found.damaged == []
        assert found.state["iteration"] in (first + len(said) - 1, first + len(said)), "an acknowledged save was lost"
        assert load_checkpoint(folder / BEST)["iteration"] % 3 == 0
        remove_leftovers(folder)
        first = found.state["iteration"] + 1
    assert inside >= TRIALS // 10, f"only {inside} kills met a save"
