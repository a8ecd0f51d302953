"""Means of a window by hand, rates, and a new window after each line."""

from pathlib import Path

import pytest

from engine.log import Events, open_log
from engine.progress import Progress
from tests.engine.runs import curves
from tests.engine.test_train_step import build
from tests.experiments import write_experiment


def test_means_over_the_iterations_since_the_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = build(write_experiment(tmp_path, accumulate=2, batch_size=4, lr_scheduler={"base_lr": 0.5}))
    open_log(None, rank=0)
    progress = Progress(first_iteration=0, max_iter=6)
    with Events(tmp_path / "events") as events:
        for run.iteration, loss in ((1, 3.0), (2, 2.0), (3, 4.0)):
            metrics = {"loss": loss, "top1": 10 * loss, "top5": 100.0}
            progress.count(run.window, metrics, data_seconds=0.25, seconds=2.0)
        progress.report(run, events)
        assert run.window == {}
        progress.count(run.window, {"loss": 1.0, "top1": 0.0, "top5": 50.0}, data_seconds=0.0, seconds=4.0)
        run.iteration = 4
        progress.report(run, events)
    first, second = [line[20:] for line in capsys.readouterr().out.splitlines()]
    # rate of the third update, iteration 2 of 6: 0.5 * (1 + cos(60 degrees)) / 2; 8 clips in 2 s
    assert first.startswith("iter 3/6  loss 3.0000  top1 30.00  top5 100.00  lr 0.375  data 0.250 s  step 2.000 s")
    assert "  4.0 clips/s  left 0:00:0" in first
    assert second.startswith("iter 4/6  loss 1.0000  top1 0.00  top5 50.00  lr 0.25  data 0.000 s  step 4.000 s")
    assert "  2.0 clips/s" in second
    assert curves(tmp_path)["train/loss"] == [(3, 3.0), (4, 1.0)]
    assert curves(tmp_path)["train/lr"] == [(3, 0.375), (4, pytest.approx(0.25))]
