"""What the command does with a good config: check, evaluate, train, go on, lengthen. Refusals: tests/test_main.py."""

import re
import shutil
from pathlib import Path

from engine.commands import build_placed, evaluate_list, read_lists
from engine.signals import StopRequest
from engine.weights import load_weights
from methods import build_method
from tests.engine.command_processes import refused, run
from tests.engine.runs import ALONE, logged
from tests.experiments import checkpoint
from utils.config_file import load_config

FRAMES = 9


def test_check_prints_what_the_run_would_be_and_writes_nothing(config: Path) -> None:
    finished = run(config, "--check")
    assert (finished.status, finished.err) == (0, "")
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]
    lines = [line[20:].removeprefix("check: ") for line in finished.out.splitlines()]
    assert re.fullmatch(r"train: 12 videos of 3 classes from .*list\.txt; frames .*counted from 1", lines[0])
    assert len([line for line in lines if re.match(r"training batch [12]: 4x3x32x32x3 uint8, loss \d", line)]) == 2
    assert any(line.startswith("evaluation batch: 1 of the 1 views of a video, scores (1, 3)") for line in lines)
    parameters = sum(parameter.numel() for parameter in build_method(load_config(config).model).parameters())
    assert f"{parameters:,} parameters" in lines
    assert any(re.fullmatch(r"\d\.\d\d GFLOPs \(multiply-adds\) per view of 3 frames 32x32", line) for line in lines)
    assert any(re.fullmatch(r"0\.\d\d GiB of memory in this process", line) for line in lines)
    assert re.match(r"the run would take about 0:00:0\d: 6 iterations of .*, 2 evaluations of 12 videos", lines[-1])


def test_check_of_a_run_of_one_iteration(config: Path) -> None:
    finished = run(config, "--check", "--set", "common.lr_scheduler.max_iter=1")
    assert (finished.status, finished.err) == (0, "")


def test_check_finds_missing_folders_and_frames(config: Path) -> None:
    shutil.rmtree(config.parent.parent / "frames" / "clip 6")
    (config.parent.parent / "frames" / "clip 8" / f"img_{FRAMES:05d}.jpg").unlink()
    lines = refused(run(config, "--check"), config)
    assert any(re.search(r"list\.txt:7: clip 6: no such folder", line) for line in lines), lines
    assert any(re.search(rf"list\.txt:9: clip 8: the list says {FRAMES} frames, ", line) for line in lines), lines


def test_set_reaches_the_run_and_the_resolved_config(config: Path) -> None:
    finished = run(config, "--set", "common.lr_scheduler.max_iter=2", "--set", "common.model.dropout=0.25")
    assert finished.status == 0
    assert checkpoint(config)["iteration"] == 2
    resolved = load_config(config.parent / "config_resolved.yaml")
    assert (resolved.lr_scheduler.max_iter, resolved.model.dropout) == (2, 0.25)
    assert resolved.model.kwargs.width == 8


def test_a_finished_run_says_so_and_raising_max_iter_lengthens_it(config: Path) -> None:
    assert run(config).status == 0
    before = (config.parent / "ckpt.pth.tar").read_bytes()
    finished = run(config)
    assert (finished.status, "this run is finished at iteration 6" in finished.out) == (0, True)
    assert (config.parent / "ckpt.pth.tar").read_bytes() == before
    shorter = run(config, "--set", "common.lr_scheduler.max_iter=4")
    assert (shorter.status, "this run is finished at iteration 6" in shorter.out) == (0, True)
    assert run(config, "--set", "common.lr_scheduler.max_iter=9").status == 0
    assert checkpoint(config)["iteration"] == 9
    assert list(logged(config.parent)) == [
        *("iter 2", "iter 4", "iter 6", "iter 8", "iter 9"),
        *(f"evaluation at iteration {iteration}" for iteration in (3, 6, 9)),
    ]


def test_what_may_change_is_named_in_the_log(config: Path) -> None:
    assert run(config, "--set", "common.lr_scheduler.max_iter=3").status == 0
    changes = ["batch_size=2", "workers=1", "lr_scheduler.base_lr=0.02", "lr_scheduler.max_iter=5", "seed=3"]
    finished = run(config, *(part for change in changes for part in ("--set", f"common.{change}")))
    assert finished.status == 0
    log = (config.parent / "log.txt").read_text()
    assert "resumed from ckpt.pth.tar at iteration 3" in log
    assert re.findall(r"changed since the checkpoint: (.*)", log) == [
        "batch_size: the checkpoint has 4, the config 2",
        "lr_scheduler.base_lr: the checkpoint has 0.01, the config 0.02",
        "lr_scheduler.max_iter: the checkpoint has 3, the config 5",
        "seed: the checkpoint has 0, the config 3",
        "workers: the checkpoint has 0, the config 1",
    ]


def labels_to_miss(config: Path) -> list[int]:
    """Per video, the class of the lowest score after the same six iterations."""
    twin = config.parent.parent / "twin"
    twin.mkdir()
    path = Path(shutil.copy(config, twin))
    assert run(path, "--set", "common.lr_scheduler.max_iter=3").status == 0
    assert run(path).status == 0
    loaded = load_config(path)
    (videos,) = read_lists(loaded, "val")
    method = build_placed(loaded, ALONE, initialise=False)
    load_weights(method, twin / "ckpt.pth.tar")
    found = evaluate_list(loaded, method, videos, world=ALONE, stop=StopRequest())
    return [int(label) for label in found.scores.argmin(axis=1)]


def test_the_best_checkpoint_survives_a_worse_evaluation_after_a_resume(config: Path) -> None:
    """The second start's list gives every video the class that the finished run finds least likely."""
    assert run(config, "--set", "common.lr_scheduler.max_iter=3").status == 0
    best, before = checkpoint(config, "ckpt_best.pth.tar"), (config.parent / "ckpt_best.pth.tar").read_bytes()
    assert best["best_metric"] > 0
    rare = config.parent.parent / "rare.txt"
    rare.write_text("".join(f"clip {number} {FRAMES} {label}\n" for number, label in enumerate(labels_to_miss(config))))
    assert run(config, "--set", f"common.val_source={rare}").status == 0
    assert (config.parent / "ckpt_best.pth.tar").read_bytes() == before
    latest = checkpoint(config)
    assert (latest["iteration"], latest["best_iteration"], latest["best_metric"]) == (6, 3, best["best_metric"])
    assert (
        f"best so far: top-1 {best['best_metric']:.2f} [center] at iteration 3"
        in (config.parent / "log.txt").read_text().splitlines()[-2]
    )


def test_evaluate_states_checkpoint_protocol_and_count(trained: Path, config: Path) -> None:
    weights = str(trained.parent / "ckpt_best.pth.tar")
    iteration = checkpoint(trained, "ckpt_best.pth.tar")["iteration"]
    for protocol, name in ((None, "center"), ("dense", "tsm-dense-10x3"), ("tsm-twice-3crop", "tsm-twice-3crop")):
        options = ["--protocol", protocol] if protocol else []
        finished = run(config, "--evaluate", "--load-path", weights, *options)
        assert (finished.status, finished.err) == (0, "")
        assert f"evaluation of {weights} (iteration {iteration}): [{name}] top-1 " in finished.out
        assert f"(12 videos counted; {name}: " in finished.out
    log = (config.parent / "log.txt").read_text()
    assert log.count("(12 videos counted; ") == 3
    trained_line = logged(trained.parent)[f"evaluation at iteration {iteration}"]
    assert trained_line in log, "the same weights scored otherwise than in training"


def test_training_from_another_runs_weights(trained: Path, config: Path) -> None:
    weights = trained.parent / "ckpt with: a #.pth"
    shutil.copy(trained.parent / "ckpt.pth.tar", weights)
    try:
        finished = run(config, "--load-path", str(weights), "--set", "common.lr_scheduler.max_iter=1")
    finally:
        weights.unlink()
    assert finished.status == 0, finished.err
    assert any(str(weights) in line for line in (config.parent / "log.txt").read_text().splitlines())
