"""Orders of frames by hand; TSN gives the same scores in any order, TSM doesn't."""

from pathlib import Path

import numpy as np
import pytest
import torch

from anal_tools.temporal_probe import ORDERS, Row, main, probe, reorder, verdict
from datasets.evaluation_dataset import EvaluationVideo
from engine.commands import read_lists
from engine.signals import StopRequest
from engine.weights import build_placed
from tests.engine.runs import ALONE
from tests.experiments import run, write_experiment
from utils.config_file import load_config


def orders(indices: list[list[int]], frames_per_segment: int = 1) -> dict[str, list[list[int]]]:
    video = EvaluationVideo(torch.zeros(1), np.array(indices), [], 0, 3)
    return {order: reorder(video, order, frames_per_segment).clip_indices.tolist() for order in ORDERS}


def test_the_orders_by_hand() -> None:
    found = orders([[0, 1, 2, 3], [4, 5, 6, 7]])
    assert found["as they are"] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert found["reversed"] == [[3, 2, 1, 0], [7, 6, 5, 4]]
    assert found["the middle one repeated"] == [[2, 2, 2, 2], [6, 6, 6, 6]]
    assert sorted(found["shuffled"][0]) == [0, 1, 2, 3]
    assert [index - 4 for index in found["shuffled"][1]] == found["shuffled"][0]
    assert found == orders([[0, 1, 2, 3], [4, 5, 6, 7]])
    assert orders([[0, 1, 2, 3, 4, 5]], frames_per_segment=2)["reversed"] == [[4, 5, 2, 3, 0, 1]]


@pytest.mark.parametrize("kind", ["tsn", "tsm"])
def test_tsn_does_not_use_time_and_tsm_may(tmp_path: Path, kind: str) -> None:
    """Random weights of large scale, so that scores differ from frame to frame."""
    config = load_config(write_experiment(tmp_path, videos=12, frames=9, model={"type": kind, "num_segments": 8}))
    (videos,) = read_lists(config, "val")
    method = build_placed(config, ALONE, initialise=True)
    torch.nn.init.normal_(method.classifier.weight)
    rows = probe(config, method, videos, world=ALONE, stop=StopRequest())
    assert [row.order for row in rows] == list(ORDERS)
    assert (rows[0].difference, rows[0].changed, rows[0].p) == (0, 0, 1)
    if kind == "tsn":
        assert [row.changed for row in rows[:3]] == [0, 0, 0]
        assert verdict(rows) == "it does not use the order of frames: no prediction changes"


def test_the_verdict_needs_more_than_an_accident() -> None:
    same = Row("as they are", 90, 90, 0, 0, 1)
    assert verdict([same, Row("shuffled", 60, 60, -30, 40, 0.001), Row("reversed", 50, 50, -40, 50, 0.0001)]) == (
        "it uses time: reversed, it loses 40.00 % top-1 (p 0.0001)"
    )
    accident = [same, Row("shuffled", 85, 85, -5, 10, 0.3), Row("reversed", 91, 91, 1, 2, 1)]
    assert verdict(accident).startswith("no sign that it needs the order of frames: 10.00 % of predictions change")


@pytest.mark.slow
def test_the_command_prints_and_writes_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_experiment(tmp_path, videos=6, lr_scheduler={"max_iter": 1}, val_freq=1)
    assert run(config).returncode == 0
    checkpoint, out = str(config.parent / "ckpt.pth.tar"), tmp_path / "probe.csv"
    assert main(["--config", str(config), "--load-path", checkpoint, "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 5
    assert "the middle one repeated" in capsys.readouterr().out
