"""N iterations equal k, a stop and the rest, bit for bit: parameters, momenta, averages, best metric, log, curves."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.loaders import Batch
from tests.engine import command_processes
from tests.engine.runs import EVERYTHING, assemble, curves, finish, logged
from tests.experiments import checkpoint, differences, write_experiment

LENGTH = 6
FILES = {"config.yaml", "ckpt.pth.tar", "ckpt_previous.pth.tar", "ckpt_best.pth.tar", "events", "log.txt"}
COMMAND_FILES = FILES | {"config_resolved.yaml", "results"}


def sibling(config: Path, name: str) -> Path:
    """The same experiment in a fresh folder beside it."""
    folder = config.parent.parent / name
    folder.mkdir()
    return Path(shutil.copy(config, folder))


def assert_same_run(one: Path, other: Path) -> None:
    """Checkpoints, best checkpoints, log values and curves are equal to the last bit; configs may differ."""
    for name in ("ckpt.pth.tar", "ckpt_best.pth.tar"):
        states = [{**checkpoint(config, name), "config": None} for config in (one, other)]
        assert not differences(*states), name
    assert logged(one.parent) == logged(other.parent)
    assert len(logged(one.parent)) >= 5, "nothing was compared"
    assert curves(one.parent) == curves(other.parent)


def stopping(loader: Iterator[Batch], batches: int) -> Iterator[Batch]:
    """SIGTERM arrives while batch number `batches` is on its way."""
    for number, batch in enumerate(loader, start=1):
        if number == batches:
            os.kill(os.getpid(), signal.SIGTERM)
        yield batch


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment with everything random in it, trained in one go."""
    config = write_experiment(tmp_path_factory.mktemp("straight"), **EVERYTHING)
    assert finish(assemble(config)).finished
    return config


@pytest.mark.parametrize("k", range(1, LENGTH))
def test_stopped_at_any_iteration_and_resumed(k: int, straight: Path) -> None:
    config = sibling(straight, f"stopped at {k}")
    parts = assemble(config)
    outcome = finish(parts._replace(loader=stopping(parts.loader, EVERYTHING["accumulate"] * k)))
    assert (outcome.finished, outcome.iteration) == (False, k)
    assert checkpoint(config)["iteration"] == k
    assert finish(assemble(config)).finished
    assert_same_run(straight, config)
    assert {path.name for path in config.parent.iterdir()} == FILES


def test_stopped_after_every_iteration(straight: Path) -> None:
    config = sibling(straight, "stopped always")
    for k in range(1, LENGTH):
        parts = assemble(config)
        assert finish(parts._replace(loader=stopping(parts.loader, 2))).iteration == k
    assert finish(assemble(config)).finished
    assert_same_run(straight, config)


def test_asked_to_stop_at_the_last_iteration_evaluates_at_the_next_start(straight: Path) -> None:
    config = sibling(straight, "stopped at the end")
    parts = assemble(config)
    outcome = finish(parts._replace(loader=stopping(parts.loader, 2 * LENGTH)))
    assert (outcome.finished, outcome.iteration) == (False, LENGTH)
    assert finish(assemble(config)).finished
    assert_same_run(straight, config)


def test_asked_to_stop_during_the_evaluation_that_was_left_over(straight: Path) -> None:
    config = sibling(straight, "stopped twice")
    parts = assemble(config)
    finish(parts._replace(loader=stopping(parts.loader, 2 * 3)))  # at iteration 3, which is to be evaluated
    assert checkpoint(config)["evaluated"] == 0
    parts = assemble(config)
    os.kill(os.getpid(), signal.SIGTERM)
    outcome = finish(parts)
    assert (outcome.finished, outcome.iteration) == (False, 3)
    assert finish(assemble(config)).finished
    assert_same_run(straight, config)


@pytest.mark.parametrize("overrides", [["common.workers=3"], ["common.workers=1"]])
def test_workers_change_nothing(overrides: list[str], straight: Path) -> None:
    config = sibling(straight, f"workers {overrides}")
    parts = assemble(config, *overrides)
    finish(parts._replace(loader=stopping(parts.loader, 2 * 4)))
    assert finish(assemble(config)).finished
    assert_same_run(straight, config)


def test_another_seed_is_another_run(straight: Path) -> None:
    config = sibling(straight, "seed")
    finish(assemble(config, "common.seed=1"))
    assert logged(config.parent).keys() == logged(straight.parent).keys()
    assert logged(config.parent)["iter 2"] != logged(straight.parent)["iter 2"]


def test_max_iter_raised_later_where_the_schedule_does_not_depend_on_it(tmp_path: Path) -> None:
    step = {"type": "STEP", "lr_steps": [2], "lr_mults": [0.1], "base_lr": 0.01, "max_iter": LENGTH}
    config = write_experiment(tmp_path, lr_scheduler=step, workers=3, print_freq=1)
    assert command_processes.run(config).status == 0
    shorter = sibling(config, "shorter")
    assert command_processes.run(shorter, "--set", "common.lr_scheduler.max_iter=3").status == 0
    assert checkpoint(shorter)["iteration"] == 3
    assert command_processes.run(shorter).status == 0
    assert_same_run(config, shorter)
    log = (shorter.parent / "log.txt").read_text()
    assert "changed since the checkpoint: lr_scheduler.max_iter: the checkpoint has 3, the config 6" in log


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGTERM, 0), (signal.SIGUSR1, 3), (signal.SIGKILL, 3)])
def test_the_command_stopped_by_a_signal_and_started_again(
    number: signal.Signals, workers: int, tmp_path: Path
) -> None:
    length = 40
    config = write_experiment(
        tmp_path, workers=workers, lr_scheduler={"max_iter": length}, val_freq=10, ckpt_freq=5, **EVERYTHING
    )
    assert command_processes.run(config).status == 0
    stopped = sibling(config, "stopped")
    started = command_processes.start(stopped)
    started.wait_for("iter 14/")
    started.send(number)
    finished = started.finish()
    if number == signal.SIGKILL:
        assert finished.status == -signal.SIGKILL
    else:
        assert finished.status == 128 + number
        assert "Traceback" not in finished.err
        assert "stopped as asked after iteration" in finished.out
    assert 10 <= checkpoint(stopped)["iteration"] < length, "the signal came too late"
    assert command_processes.run(stopped).status == 0
    assert_same_run(config, stopped)
    assert {path.name for path in stopped.parent.iterdir()} == COMMAND_FILES


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_to_the_whole_group_leaves_the_workers_to_their_parent(number: signal.Signals, tmp_path: Path) -> None:
    config = write_experiment(tmp_path, workers=2, lr_scheduler={"max_iter": 300}, val_freq=300)
    started = command_processes.start(config)
    started.wait_for("iter 4/")
    started.send_all(number)
    finished = started.finish()
    assert finished.status == 128 + number
    assert "Traceback" not in finished.err
    assert 4 <= checkpoint(config)["iteration"] < 300
