"""Several protocols in one pass, frames shared between views, and evaluations that go on after a kill."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datasets.evaluation_loader import build_evaluation_loader, view_batch
from engine.commands import read_lists
from engine.evaluation import Evaluation, evaluate
from engine.evaluation_run import Wanted, build_scorer, check_names, choose_protocols, evaluate_protocols
from engine.evaluation_table import table_lines
from engine.partial_scores import PartialScores
from engine.signals import StopRequest
from engine.view_scoring import Kept
from engine.weights import build_placed
from tests.engine.runs import ALONE
from tests.experiments import write_experiment
from utils.config_file import load_config
from utils.config_schema import Config
from utils.errors import UserError

VIDEOS = 7
OWN = {"five": {"crops": 5, "average": "probabilities", "size": 24}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluated")


def config_of(folder: Path, *overrides: str, **changes: Any) -> Config:
    return load_config(write_experiment(folder, videos=VIDEOS, protocols=OWN, **changes), overrides)


def evaluations(config: Config, wanted: Wanted, stop: StopRequest | None = None) -> list[Evaluation] | None:
    (videos,) = read_lists(config, "val")
    method = build_placed(config, ALONE, initialise=True)
    found = evaluate_protocols(
        config, method, videos, wanted, world=ALONE, stop=StopRequest() if stop is None else stop
    )
    return found.evaluations if found else None


def test_several_protocols_in_one_pass_score_as_each_alone(folder: Path) -> None:
    config = config_of(folder)
    names = ["center", "tsm-8x10crop", "tsm-dense-10x3", "tsm-twice-3crop", "five"]
    together = evaluations(config, Wanted("all"))
    assert [each.protocol.name for each in together] == names  # tsn-25x10 is no protocol of 3 segments
    for each in together:
        (alone,) = evaluations(config, Wanted(each.protocol.name))
        assert np.array_equal(each.scores, alone.scores)
        assert each.labels.tolist() == [number % 3 for number in range(VIDEOS)]
    some = evaluations(config, Wanted("accurate, dense,center"))
    assert [each.protocol.name for each in some] == ["tsm-twice-3crop", "tsm-dense-10x3", "center"]


def test_one_table_says_what_each_number_is_of(folder: Path) -> None:
    header, center, dense = table_lines(evaluations(config_of(folder), Wanted("center,dense")))
    assert header.split("  ")[0] == "protocol"
    assert center.startswith("center ")
    assert dense.startswith("tsm-dense-10x3 ")
    assert dense.split()[-2:] == ["30", "7"]
    starts = {line.index(cell) for line, cell in ((header, "NLL"), (center, center.split()[10]))}
    assert len(starts) == 1, "columns are not aligned"


def test_a_wrong_name_among_several_is_told(folder: Path) -> None:
    with pytest.raises(UserError, match=r"got 'fiv', needs one of five, center, .* Did you mean 'five'"):
        check_names(config_of(folder), "center,fiv")


@pytest.mark.parametrize(
    ("modality", "kwargs", "precision"),
    [
        ("RGB", {}, "fp32"),
        pytest.param("RGB", {"consensus": "max"}, "bf16", marks=pytest.mark.slow),
        pytest.param("RGBDiff", {}, "fp32", marks=pytest.mark.slow),
    ],
)
def test_each_frame_scored_once_equals_view_by_view(folder: Path, modality: str, kwargs: dict, precision: str) -> None:
    model = {"type": "tsn", "modality": modality, "kwargs": {"width": 8, **kwargs}}
    config = config_of(folder, model=model, precision=precision)
    (videos,) = read_lists(config, "val")
    method = build_placed(config, ALONE, initialise=True)
    torch.nn.init.normal_(method.classifier.weight)  # logits of the size of a trained network's
    protocols = choose_protocols(config, method, "all")
    assert "tsn-25x10" in {protocol.name for protocol in protocols}
    scorer = build_scorer(config, method, ALONE, Kept(views=True, features=True))
    found = []
    for each in (scorer, dataclasses.replace(scorer, share_frames=False)):
        loader = build_evaluation_loader(config, videos, protocols, rank=0, world_size=1)
        found.append(evaluate(each, loader, world=ALONE, stop=StopRequest()))
    tolerance = 1e-5 if precision == "fp32" else 2e-2
    for shared, plain in zip(*found, strict=True):
        for name in ("scores", "views", "features"):
            one, other = getattr(shared, name), getattr(plain, name)
            assert np.abs(one - other).max() <= tolerance * max(1, np.abs(other).max()), (shared.protocol.name, name)
        assert shared.views.shape == (VIDEOS, shared.protocol.views, 3)
        np.testing.assert_allclose(shared.views.mean(axis=1), shared.scores, atol=1e-5)


def test_a_frame_passes_through_the_network_once(folder: Path) -> None:
    config = config_of(folder, model={"type": "tsn", "kwargs": {"width": 8}})
    (videos,) = read_lists(config, "val")
    method = build_placed(config, ALONE, initialise=True)
    seen = []
    method.backbone.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    loader = build_evaluation_loader(
        config, videos, choose_protocols(config, method, "tsm-dense-10x3"), rank=0, world_size=1
    )
    evaluate(build_scorer(config, method, ALONE), loader, world=ALONE, stop=StopRequest())
    # 9 frames wrap a window of 64: places 0, 21, 42 modulo 9 are frames 0, 3, 6, in each of ten clips; three crops
    assert sum(seen) == VIDEOS * 3 * 3


def test_views_fill_the_pixels_of_a_training_batch(folder: Path) -> None:
    config = config_of(folder, batch_size=32)
    method = build_placed(config, ALONE, initialise=False)
    protocols = {each.name: each for each in choose_protocols(config, method, "all")}
    assert view_batch(config, protocols["center"]) == (32, 32)
    assert view_batch(config, protocols["tsm-dense-10x3"]) == (4, 32 * 32**2 // 36**2)  # 25 views: 30 of 1, 120 of 4
    fixed = config.model_copy(update={"val_batch_size": 6})
    assert view_batch(fixed, protocols["tsm-twice-3crop"]) == (1, 6)


class StopAfter(StopRequest):
    """Asks to stop once it was looked at `looks` times."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __bool__(self) -> bool:
        self.looks -= 1
        return self.looks < 0


def test_an_evaluation_that_was_stopped_goes_on(folder: Path, tmp_path: Path) -> None:
    config = config_of(folder, "common.val_batch_size=2")
    checkpoint = tmp_path / "weights"
    checkpoint.write_bytes(b"of some run")
    wanted = Wanted("center,five", Kept(views=True), tmp_path / "partial", checkpoint)
    whole = evaluations(config, Wanted("center,five", Kept(views=True)))
    assert evaluations(config, wanted, StopAfter(5)) is None  # blocks of two videos: two blocks are done
    (part,) = (tmp_path / "partial").glob("*/*.npz")
    assert part.name.startswith("00000000-4-")
    scored = []
    (videos,) = read_lists(config, "val")
    read = videos.source.read
    method = build_placed(config, ALONE, initialise=True)
    videos.source.read = lambda video, indices: scored.append(video) or read(video, indices)
    found = evaluate_protocols(config, method, videos, wanted, world=ALONE, stop=StopRequest())
    assert scored == ["clip 4", "clip 5", "clip 6"]
    for gone_on, straight in zip(found.evaluations, whole, strict=True):
        assert np.array_equal(gone_on.scores, straight.scores)
        assert np.array_equal(gone_on.views, straight.views)
    found.remove_parts()
    assert not (tmp_path / "partial").exists()


def test_parts_of_another_evaluation_or_a_torn_one_are_not_taken(folder: Path, tmp_path: Path) -> None:
    config = config_of(folder, "common.val_batch_size=2")
    checkpoint = tmp_path / "weights"
    checkpoint.write_bytes(b"of some run")
    wanted = Wanted("center", folder=tmp_path / "partial", checkpoint=checkpoint)
    assert evaluations(config, wanted, StopAfter(5)) is None
    checkpoint.write_bytes(b"of another")
    (videos,) = read_lists(config, "val")
    method = build_placed(config, ALONE, initialise=True)
    other = evaluate_protocols(config, method, videos, wanted, world=ALONE, stop=StopRequest())
    assert len(other.partial.found) == 0
    (torn,) = [path for path in (tmp_path / "partial").glob("*/*.npz") if "-4-" in path.name]
    torn.write_bytes(torn.read_bytes()[:-100])
    checkpoint.write_bytes(b"of some run")
    again = evaluate_protocols(config, method, videos, wanted, world=ALONE, stop=StopRequest())
    assert len(again.partial.found) == 0
    assert torch.equal(torch.from_numpy(again.evaluations[0].scores), torch.from_numpy(other.evaluations[0].scores))


def test_a_full_disk_is_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    partial = PartialScores(tmp_path / "file", {}, world=ALONE)
    with pytest.raises(UserError, match="partial scores can't be written"):
        partial.keep([None], rank=0, now=True)
