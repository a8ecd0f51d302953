"""Twelve losses of the tiny experiment, as they were when this file was last looked at.

A change that means to leave training as it is leaves these; one that doesn't says so by writing them anew:
python -m tests.engine.test_golden_losses
"""

import json
import tempfile
from pathlib import Path

import pytest

from tests.engine.runs import EVERYTHING, assemble, curves, finish
from tests.experiments import checkpoint, differences, write_experiment

GOLDEN = Path(__file__).with_name("golden_losses.json")
TOLERANCE = 1e-4  # between machines; on one machine two runs are equal to the last bit
LENGTH = 12


def train(folder: Path) -> tuple[Path, list[float]]:
    """The experiment's config, and its loss at each iteration."""
    config = write_experiment(folder, lr_scheduler={"max_iter": LENGTH}, print_freq=1, val_freq=4, **EVERYTHING)
    assert finish(assemble(config)).finished
    steps, losses = zip(*curves(config.parent)["train/loss"])
    assert steps == tuple(range(1, LENGTH + 1))
    return config, list(losses)


def test_losses_are_those_on_file_and_two_runs_are_equal(tmp_path: Path) -> None:
    runs = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        runs.append(train(tmp_path / name))
    assert runs[0][1] == pytest.approx(json.loads(GOLDEN.read_text()), abs=TOLERANCE, rel=0)
    assert runs[0][1] == runs[1][1]
    states = [{**checkpoint(config), "config": None} for config, _ in runs]
    assert not differences(*states)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps([round(loss, 6) for loss in train(Path(folder))[1]]) + "\n")
