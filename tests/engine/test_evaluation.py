"""Every video once, on any number of ranks, with the same scores; views averaged as the protocol says."""

import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datasets.evaluation_loader import build_evaluation_loader
from datasets.protocols import PROTOCOLS, Protocol, ProtocolRule
from engine.commands import read_lists
from engine.distributed import World
from engine.evaluation import Evaluation, cut_views, evaluate
from engine.evaluation_run import build_scorer, choose_protocol, evaluate_list
from engine.signals import StopRequest
from engine.weights import build_placed
from tests.engine.rank_processes import on_ranks
from tests.engine.runs import ALONE
from tests.experiments import write_experiment
from utils.config_file import load_config
from utils.errors import UserError

VIDEOS = 11
MODES = {
    "center": [],
    "small batches": ["common.val_batch_size=3"],
    "tsm-twice-3crop": ["common.val_protocol=tsm-twice-3crop", "common.workers=1"],
}


def scores_of(world: World, config: str, overrides: list[str]) -> dict[str, Any]:
    """Scores, labels and line of a model of known weights; or the lines of its `UserError`."""
    loaded = load_config(config, overrides)
    (videos,) = read_lists(loaded, "val")
    method = build_placed(loaded, world, initialise=True)
    try:
        found = evaluate_list(loaded, method, videos, world=world, stop=StopRequest())
    except UserError as error:
        return {"lines": list(error.lines)}
    assert found is not None, "nobody asked it to stop"
    assert method.training, "evaluation left the method in another mode"
    return {"scores": torch.from_numpy(found.scores), "labels": torch.from_numpy(found.labels), "line": found.line()}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_experiment(tmp_path_factory.mktemp("evaluated"), videos=VIDEOS))


@pytest.mark.parametrize("mode", MODES)
def test_one_two_and_three_ranks_score_alike(mode: str, config: str, tmp_path: Path) -> None:
    (expected,) = on_ranks(scores_of, tmp_path, config, MODES[mode], ranks=1)
    assert expected["labels"].tolist() == [number % 3 for number in range(VIDEOS)]
    assert expected["scores"].shape == (VIDEOS, 3)
    assert len(expected["scores"].unique(dim=0)) == VIDEOS, "videos can't be told apart by their scores"
    assert f"({VIDEOS} videos counted; " in expected["line"]
    for ranks in (2, 3):
        for result in on_ranks(scores_of, tmp_path, config, MODES[mode], ranks=ranks):
            assert torch.equal(result["scores"], expected["scores"])
            assert result["labels"].tolist() == expected["labels"].tolist()
            assert result["line"] == expected["line"]


def test_more_ranks_than_videos(tmp_path: Path) -> None:
    small = str(write_experiment(tmp_path, videos=3, val_batch_size=2))  # two blocks: the third rank has none
    (expected,) = on_ranks(scores_of, tmp_path, small, [], ranks=1)
    for result in on_ranks(scores_of, tmp_path, small, [], ranks=3):
        assert torch.equal(result["scores"], expected["scores"])


def test_a_broken_video_ends_all_ranks_with_its_line(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, videos=4, val_batch_size=1)
    for frame in (tmp_path / "frames" / "clip 1").iterdir():
        frame.write_bytes(b"no jpeg")
    for result in on_ranks(scores_of, tmp_path, str(config), [], ranks=2):
        (line,) = result["lines"]
        assert line.startswith(f"{tmp_path / 'list.txt'}:2: ")
        assert "evaluation substitutes nothing" in line


def stopped_on_one_rank(world: World, config: str) -> bool:
    loaded = load_config(config)
    (videos,) = read_lists(loaded, "val")
    stop = StopRequest().install()
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGUSR1)
    return evaluate_list(loaded, build_placed(loaded, world, initialise=True), videos, world=world, stop=stop) is None


def test_asked_to_stop_on_one_rank_ends_it_on_all(config: str, tmp_path: Path) -> None:
    assert on_ranks(stopped_on_one_rank, tmp_path, config) == [True, True]


@pytest.mark.parametrize("average", ["logits", "probabilities"])
def test_views_are_averaged_by_hand(average: str, config: str) -> None:
    loaded = load_config(config, ["common.val_protocol=tsm-twice-3crop"])
    (videos,) = read_lists(loaded, "val")
    method = build_placed(loaded, ALONE, initialise=True).eval()
    protocol = dataclasses.replace(choose_protocol(loaded, method), average=average)
    loader = build_evaluation_loader(loaded, videos, [protocol], rank=0, world_size=1)
    scorer = build_scorer(loaded, method, ALONE)
    (found,) = evaluate(scorer, loader, world=ALONE, stop=StopRequest())
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (method.mean, method.std))
    for video in loader.videos:
        views = list(cut_views(video, ALONE.device))
        assert [tuple(view.shape) for view in views] == [(3, 36, 36, 3)] * 6  # 2 clips x 3 crops, full resolution
        with torch.no_grad():
            clips = torch.stack([(view.permute(0, 3, 1, 2) / 255 - mean) / std for view in views])
            logits = method(clips)
        per_view = logits.softmax(dim=1) if average == "probabilities" else logits
        np.testing.assert_allclose(found.scores[video.video_index], per_view.mean(dim=0), rtol=1e-4, atol=1e-5)


def evaluation(scores: list[list[float]], labels: list[int]) -> Evaluation:
    protocol = Protocol("center", "segments_centre", 1, 1, 8, 1, 224, 256, "logits")
    return Evaluation(protocol=protocol, scores=np.array(scores, np.float32), labels=np.array(labels))


def test_the_line_states_protocol_numbers_and_count() -> None:
    line = evaluation([[3, 2, 1], [1, 3, 2], [3, 1, 2]], [0, 0, 2]).line()
    assert line == (
        "[center] top-1 33.33  top-5 100.00  mean class accuracy 25.00  "
        "(3 videos counted; center: 1 clip of 8 x 1 crop of 224 from short side 256, logits averaged)"
    )


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        ([], "center"),
        (["common.val_dense=True"], "tsm-dense-10x3"),
        (["common.val_protocol=tsm-8x10crop"], "tsm-8x10crop"),
    ],
)
def test_the_config_chooses_the_protocol(overrides: list[str], name: str, config: str) -> None:
    loaded = load_config(config, overrides)
    protocol = choose_protocol(loaded, build_placed(loaded, ALONE, initialise=False))
    rule: ProtocolRule = PROTOCOLS[name]
    assert (protocol.name, protocol.clips, protocol.crops) == (name, rule.clips, rule.crops)
    assert protocol.size == (36 if rule.full_resolution else 32)
