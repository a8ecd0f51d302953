"""The loop inside the test's process: what is due when, and what ends it."""

import re
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.engine.runs import assemble, curves, finish, logged
from tests.experiments import checkpoint, spoil, write_experiment
from utils.errors import UserError


def test_what_is_due_when(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, lr_scheduler={"max_iter": 7}, val_freq=3, print_freq=2, ckpt_freq=7)
    outcome = finish(assemble(config))
    assert (outcome.finished, outcome.iteration) == (True, 7)
    printed = {"iter 2", "iter 4", "iter 6", "iter 7"}
    assert logged(config.parent).keys() == printed | {f"evaluation at iteration {i}" for i in (3, 6, 7)}
    steps = {name: [step for step, _ in points] for name, points in curves(config.parent).items()}
    train = {f"train/{name}": [2, 4, 6, 7] for name in ("loss", "top1", "top5", "lr")}
    scored = ("top1", "top5", "mean_class", "nll", "calibration_error")
    assert steps == {**train, **{f"val_center/{name}": [3, 6, 7] for name in scored}}
    assert checkpoint(config)["iteration"] == 7


def test_events_hold_times_and_the_clips_as_the_model_sees_them(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    finish(assemble(config))
    reader = EventAccumulator(str(config.parent / "events"))
    reader.Reload()
    times = {"time/data_seconds", "time/step_seconds", "time/clips_per_second"}
    assert times <= set(reader.Tags()["scalars"])
    (image,) = reader.Images("train/clips")
    assert (image.height, image.width, image.step) == (4 * 32, 3 * 32, 1)


def test_the_best_one_is_that_of_the_highest_top1(tmp_path: Path) -> None:
    """With this seed the second half is worse than some evaluation before it."""
    changes = {"ema": 0.5, "augmentation": {"mix_up": 0.0}, "lr_scheduler": {"max_iter": 30, "base_lr": 0.05}}
    config = write_experiment(tmp_path, seed=3, val_freq=5, **changes)
    finish(assemble(config))
    found = {
        int(key.split()[-1]): float(re.search(r"top-1 ([\d.]+)", line)[1])
        for key, line in logged(config.parent).items()
        if key.startswith("evaluation")
    }
    assert len(set(found.values())) > 1, "every evaluation was the same"
    best = max(found, key=lambda iteration: (found[iteration], -iteration))
    assert checkpoint(config, "ckpt_best.pth.tar")["iteration"] == best
    assert round(checkpoint(config)["best_metric"], 2) == found[best]
    assert checkpoint(config)["best_iteration"] == best


def test_a_loss_that_is_not_finite_names_the_videos_and_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, val_freq=100, ckpt_freq=3)
    finish(assemble(config, "common.lr_scheduler.max_iter=3"))
    before = (config.parent / "ckpt.pth.tar").read_bytes()
    with pytest.raises(UserError) as caught:
        finish(assemble(config, "common.lr_scheduler.base_lr=1e30"))
    (line,) = caught.value.lines
    found = re.match(r"iteration 5: the loss is not finite on the videos number \[([\d, ]+)\]", line)
    assert found, line
    numbers = [int(number) for number in found[1].split(",")]
    assert len(numbers) == 4
    assert all(1 <= number <= 12 for number in numbers), "numbers of list lines start at 1"
    assert (config.parent / "ckpt.pth.tar").read_bytes() == before


@pytest.mark.parametrize("spoilt", ["parameter", "running_var"])
def test_weights_that_are_not_finite_are_not_saved(spoilt: str, tmp_path: Path) -> None:
    config = write_experiment(tmp_path, val_freq=3)
    parts = assemble(config, "common.lr_scheduler.max_iter=1")
    if spoilt == "parameter":
        rate = "common.lr_scheduler.base_lr=3e38"  # out of the numbers in one step, after a finite loss
        parts = assemble(config, "common.lr_scheduler.max_iter=1", "common.weight_decay=1e4", rate)
    else:
        norm = parts.run.method.backbone.bn1
        norm.running_var.fill_(float("inf"))
    with pytest.raises(UserError, match="no checkpoint was written, the last one stays"):
        finish(parts)
    assert not (config.parent / "ckpt.pth.tar").exists()


def test_broken_videos_are_counted_named_and_end_the_run_above_the_limit(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, bad_data={"limit": 2}, lr_scheduler={"max_iter": 40}, val_freq=100)
    spoil(tmp_path, 3, 5)
    parts = assemble(config, "common.lr_scheduler.max_iter=6")  # two epochs
    with pytest.raises(UserError, match="evaluation substitutes nothing"):
        finish(parts)
    log = (config.parent / "log.txt").read_text()
    assert len(set(re.findall(r"broken video (\d), another drawn in its place: .*/list.txt:[46]: ", log))) == 2
    spoil(tmp_path, 7)
    with pytest.raises(UserError, match=r"3 broken videos, bad_data.limit is 2"):
        finish(assemble(config))
    saved = checkpoint(config)["iteration"]
    assert 1 <= saved <= 4
    assert torch.isfinite(checkpoint(config)["model"]["classifier.weight"]).all()
