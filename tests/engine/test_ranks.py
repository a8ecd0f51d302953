"""The command on two ranks: one set of files, one count of videos, a resume that is the same run."""

import re
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoint import load_checkpoint
from engine.commands import build_placed, evaluate_list, read_lists
from engine.signals import StopRequest
from engine.weights import load_weights
from tests import experiments
from tests.engine.command_processes import run_ranks, start_ranks
from tests.engine.runs import ALONE, EVERYTHING, curves, logged
from tests.engine.test_resume import COMMAND_FILES, sibling
from tests.experiments import checkpoint, write_experiment
from utils.config_file import load_config

SYNC = {"width": 8, "bn_group_size": 16, "bn_sync_stats": True}
TWO_RANKS: dict[str, Any] = {**EVERYTHING, "model": {"kwargs": SYNC}}


def statuses(finished: list[Any]) -> list[int]:
    assert not any("Traceback" in each.err for each in finished), [each.err for each in finished]
    return [each.status for each in finished]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven videos: an odd number for two ranks."""
    config = write_experiment(tmp_path_factory.mktemp("ranks"), videos=11, val_batch_size=2, **TWO_RANKS)
    assert statuses(run_ranks(config)) == [0, 0]
    return config


def test_one_set_of_files(trained: Path) -> None:
    assert {path.name for path in trained.parent.iterdir()} == COMMAND_FILES
    assert len(list((trained.parent / "events").iterdir())) == 1
    log = (trained.parent / "log.txt").read_text()
    assert log.count("---- start") == 1
    assert "on cpu, 2 rank(s)" in log
    assert "bn_group_size 16 is more than the 2 ranks: all of them share" in log
    assert log.count("(11 videos counted; center: ") == 2
    assert [step for step, _ in curves(trained.parent)["train/loss"]] == [2, 4, 6]


def test_the_best_checkpoint_scores_alone_what_the_ranks_scored(trained: Path) -> None:
    """So the averaged weights went with running statistics that all ranks shared."""
    path = trained.parent / "ckpt_best.pth.tar"
    config = load_config(trained)
    (videos,) = read_lists(config, "val")
    method = build_placed(config, ALONE, initialise=False)
    load_weights(method, path)
    alone = evaluate_list(config, method, videos, world=ALONE, stop=StopRequest())
    assert logged(trained.parent)[f"evaluation at iteration {load_checkpoint(path)['iteration']}"] == alone.line()
    ema, model = (load_checkpoint(path)[name] for name in ("ema", "model"))
    statistics = [key for key in model if key.endswith("running_mean")]
    assert statistics
    assert all(torch.equal(ema[f"module.{key}"], model[key]) for key in statistics)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_stopped_and_resumed(number: signal.Signals, tmp_path: Path) -> None:
    """The signal meets rank 1 alone: both save and stop. A kill of both goes on from the last checkpoint."""
    options = {**TWO_RANKS, "accumulate": 1, "ckpt_freq": 4, "val_freq": 10, "print_freq": 3}
    config = write_experiment(tmp_path, lr_scheduler={"max_iter": 40}, **options)
    assert statuses(run_ranks(config)) == [0, 0]
    stopped = sibling(config, "stopped")
    ranks = start_ranks(stopped)
    ranks[0].wait_for("iter 12/")
    for rank in ranks if number == signal.SIGKILL else ranks[1:]:
        rank.send(number)
    finished = [rank.finish() for rank in ranks]
    if number == signal.SIGTERM:
        assert statuses(finished) == [143, 143]
    assert 8 <= checkpoint(stopped)["iteration"] < 40
    assert statuses(run_ranks(stopped)) == [0, 0]
    assert_close_run(config, stopped)


def assert_close_run(one: Path, other: Path) -> None:
    """Equal as far as sums over ranks round alike: running statistics are averaged at other times."""
    pairs = [(checkpoint(config)["model"], checkpoint(config)["optimizer"]) for config in (one, other)]
    torch.testing.assert_close(pairs[1], pairs[0], rtol=1e-5, atol=1e-5)
    assert logged(one.parent).keys() == logged(other.parent).keys()
    ours, theirs = curves(one.parent), curves(other.parent)
    assert ours.keys() == theirs.keys()
    for name, points in ours.items():
        torch.testing.assert_close(torch.tensor(points), torch.tensor(theirs[name]), rtol=1e-4, atol=1e-4, msg=name)


def test_a_loss_that_is_not_finite_stops_both(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, lr_scheduler={"base_lr": 1e30}, val_freq=100)
    finished = run_ranks(config)
    assert statuses(finished) == [2, 2]
    assert re.search(
        r"error: iteration 2: the loss is not finite on the videos number \[[\d, ]{22,}\]", finished[0].err
    )
    assert finished[1].err == "", "said once for all ranks"
    assert not (config.parent / "ckpt.pth.tar").exists()
    assert "error: iteration 2: the loss is not finite" in (config.parent / "log.txt").read_text()


@pytest.mark.slow
def test_torchrun_starts_stops_and_resumes(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, videos=11, **TWO_RANKS)
    shorter = sibling(config, "shorter")
    for path, arguments in ((config, []), (shorter, ["--set", "common.lr_scheduler.max_iter=3"]), (shorter, [])):
        finished = experiments.run(path, *arguments, ranks=2)
        assert finished.returncode == 0, finished.stderr
    assert {path.name for path in shorter.parent.iterdir()} == COMMAND_FILES
    log = (shorter.parent / "log.txt").read_text()
    assert log.count("(11 videos counted; center: ") == 2
    assert log.count("2 rank(s)") == 2
    assert checkpoint(shorter)["iteration"] == checkpoint(config)["iteration"] == 6
