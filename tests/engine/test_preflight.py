"""Counts by hand."""

from pathlib import Path

import pytest
import torch
from torch import nn

from engine.log import open_log
from engine.preflight import count_gflops, count_parameters, memory_used, report
from tests.engine.test_train_step import build
from tests.experiments import write_experiment


def test_multiply_adds_and_parameters_of_a_small_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(800, 4))
    network[0].bias.requires_grad_(False)
    assert count_parameters(network) == (8 * 27 + 8) + (4 * 800 + 4)
    assert count_gflops(network, torch.zeros(1, 3, 10, 10)) == pytest.approx((8 * 27 * 100 + 4 * 800) / 1e9)
    assert network.training


def test_memory_of_this_process() -> None:
    gigabytes = float(memory_used(torch.device("cpu")).split()[0])
    assert 0.1 < gigabytes < 64


def test_the_estimate_adds_training_and_evaluations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = build(write_experiment(tmp_path, val_freq=400, lr_scheduler={"max_iter": 1000}))
    open_log(None, rank=0)
    view = torch.zeros(1, 3, 3, 32, 32)
    report(run, view, step_seconds=0.5, video_seconds=0.1, num_videos=200)
    lines = [line[20:] for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == f"check: {count_parameters(run.method):,} parameters"
    assert lines[1].startswith("check: 0.0")
    assert lines[1].endswith(" GFLOPs (multiply-adds) per view of 3 frames 32x32")
    # 1000 x 0.5 s and 3 evaluations (400, 800, 1000) of 200 x 0.1 s
    assert lines[3] == "check: the run would take about 0:09:20: 1000 iterations of 0.50 s, 3 evaluations of 200 videos"
