"""Saves of a run: in the background bitwise what they are without; what can't be written ends it, or is made up for."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from datasets.loaders import Batch
from engine.checkpoint import BEST, LATEST
from engine.saving import _all_finite
from tests.engine import command_processes
from tests.engine.runs import EVERYTHING, Parts, assemble, finish, logged
from tests.engine.test_checkpoint import names
from tests.engine.test_checkpoint_writer import in_flight
from tests.engine.test_resume import assert_same_run, sibling, stopping
from tests.experiments import checkpoint, write_experiment
from utils.errors import UserError

OFTEN = {**EVERYTHING, "ckpt_freq": 1, "print_freq": 1}
CONTINUE = "common.failed_save=continue"


def test_in_the_background_every_file_is_bitwise_that_of_waiting(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, **OFTEN)
    waiting = sibling(config, "waiting")
    assert finish(assemble(config)).finished
    assert finish(assemble(waiting, "common.save_in_background=false")).finished
    assert_same_run(waiting, config)
    for path in (config, waiting):
        log = (path.parent / "log.txt").read_text()
        assert re.findall(r"checkpoint of iteration (\d) written", log) == list("123456")
    assert not in_flight()


@pytest.mark.slow
def test_with_workers_frequent_saves_and_evaluations_it_comes_to_the_same_end(tmp_path: Path) -> None:
    """Evaluations fork loader workers; a save is asked for at every iteration."""
    config = write_experiment(tmp_path, workers=2, lr_scheduler={"max_iter": 8}, val_freq=4, **OFTEN)
    waiting = sibling(config, "waiting")
    assert command_processes.run(config).status == 0
    assert command_processes.run(waiting, "--set", "common.save_in_background=false").status == 0
    assert_same_run(waiting, config)
    assert (config.parent / "log.txt").read_text().count(" written") == 8


def test_a_stop_is_answered_once_the_save_is_on_disk(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    parts = assemble(config)
    outcome = finish(parts._replace(loader=stopping(parts.loader, 2)))
    assert checkpoint(config)["iteration"] == outcome.iteration == 2
    log = (config.parent / "log.txt").read_text()
    assert log.index("checkpoint of iteration 2 written") < log.index("stopped as asked after iteration 2")


def blocking(parts: Parts, first: int, last: int) -> Parts:
    """While batches `first` to `last` are on their way, nothing can be written: a folder has the file's name."""
    folder = parts.session.folder / f".{LATEST}.{os.getpid()}.tmp"

    def loader() -> Iterator[Batch]:
        for number, batch in enumerate(parts.loader, start=1):
            if number in (first, last + 1):
                parts.session.writer._join()  # the save before, whichever way it goes
            if number == first:
                folder.mkdir()
            if number == last + 1:
                folder.rmdir()
            yield batch

    return parts._replace(loader=loader())


@pytest.mark.parametrize("background", ["true", "false"])
def test_a_save_that_fails_ends_the_run_with_one_line(background: str, tmp_path: Path) -> None:
    config = write_experiment(tmp_path, ckpt_freq=1, print_freq=1)
    parts = assemble(config, f"common.save_in_background={background}")
    with pytest.raises(UserError) as caught:
        finish(blocking(parts, 3, 99))
    (line,) = caught.value.lines
    assert line.startswith(
        f"{config.parent / LATEST}: can't be written (Is a directory); the last checkpoint is as it was"
    )
    assert checkpoint(config)["iteration"] == 2
    assert parts.run.iteration in ((3,) if background == "false" else (3, 4)), "told at the next step at the latest"


def test_where_it_may_go_on_the_next_save_makes_up_for_it(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, ckpt_freq=1, print_freq=1)
    assert finish(blocking(assemble(config, CONTINUE), 2, 4)).finished
    assert checkpoint(config)["iteration"] == 6
    log = (config.parent / "log.txt").read_text()
    assert log.count("training goes on without it (failed_save: continue)") == 3
    assert "iter 6" in logged(config.parent)


def test_the_last_save_must_succeed_even_where_others_need_not(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, ckpt_freq=1)
    with pytest.raises(UserError, match="mend that and start again"):
        finish(blocking(assemble(config, CONTINUE), 5, 99))
    assert checkpoint(config)["iteration"] == 4


def test_two_ranks_end_at_the_same_step_with_one_line(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, ckpt_freq=1, lr_scheduler={"max_iter": 4000}, val_freq=4000)
    ranks = command_processes.start_ranks(config)
    ranks[0].wait_for("checkpoint of iteration 1 written")
    folder = config.parent / f".{LATEST}.{ranks[0].process.pid}.tmp"
    while not folder.is_dir():
        try:
            folder.mkdir()
        except FileExistsError:  # a save is in flight
            continue
    finished = [rank.finish() for rank in ranks]
    assert [each.status for each in finished] == [2, 2]
    assert finished[0].err.count("can't be written") == 1
    assert finished[1].err == ""
    saved = checkpoint(config)["iteration"]
    written = re.findall(r"checkpoint of iteration (\d+) written", (config.parent / "log.txt").read_text())
    assert saved == int(written[-1])


def test_a_stop_by_signal_while_a_save_fails_says_why(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, ckpt_freq=1)
    parts = blocking(assemble(config, CONTINUE), 2, 99)
    with pytest.raises(UserError, match="can't be written"):
        finish(parts._replace(loader=stopping(parts.loader, 3)))
    assert parts.session.stop.signal == signal.SIGTERM
    assert checkpoint(config)["iteration"] == 1
    assert LATEST in names(config.parent)
    assert BEST not in names(config.parent)


@pytest.mark.parametrize(("value", "finite"), [(1e38, True), (float("nan"), False), (float("inf"), False)])
def test_a_sum_out_of_the_numbers_is_no_parameter_that_is(value: float, finite: bool, tmp_path: Path) -> None:
    method = assemble(write_experiment(tmp_path)).run.method
    with torch.no_grad():
        method.classifier.weight[0, :4] = value
    assert _all_finite(method) == finite
