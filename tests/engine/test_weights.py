"""Commands on other systems' checkpoints: evaluate one, start from one, go on after such a start."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from anal_tools.get_reference_results import main as get_reference_results
from anal_tools.results_file import load_results
from main import main
from methods import build_method
from networks.checkpoint_formats import FORMATS
from networks.convert_checkpoint import convert
from networks.imported import read_checkpoint
from tests.experiments import checkpoint, write_experiment
from utils.config_file import load_config
from utils.errors import UserError

SLOWFAST = {
    "type": "slowfast", "num_frames": 8, "stride": 1, "kwargs": {"width": 8, "alpha": 4},
}  # fmt: skip


def foreign(config: Path, target: str, overrides: list[str] = []) -> Path:  # noqa: B006
    """Random weights of the config's method in a file of another system."""
    torch.manual_seed(5)
    model = load_config(config, [*overrides, "common.model.pretrained=False"]).model
    state = build_method(model).state_dict()
    path = config.parent.parent / "ours.pth"
    torch.save({"model": state, "config": {"model": {"type": model.type, "kwargs": dict(model.kwargs)}}}, path)
    contents = convert(read_checkpoint(path), FORMATS[target])
    torch.save({**contents, "epoch": 3}, config.parent.parent / f"{target}.pth")
    return config.parent.parent / f"{target}.pth"


def log_of(config: Path) -> str:
    return (config.parent / "log.txt").read_text()


def test_an_official_checkpoint_is_evaluated(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    path = foreign(config, "tsm")
    assert main(["--config", str(config), "--evaluate", "--load-path", str(path)]) == 0
    assert "official TSM checkpoint, 122 tensors loaded, 0 new, 0 left over" in log_of(config)
    assert f"evaluation of {path} (official TSM)" in log_of(config)


def test_its_scores_are_those_of_the_same_weights_of_ours(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    path = foreign(config, "mmaction2")
    for name, source in (("theirs", path), ("ours", tmp_path / "ours.pth")):
        out = tmp_path / f"{name}.npz"
        assert get_reference_results(["--config", str(config), "--load-path", str(source), "--out", str(out)]) == 0
    theirs, ours = (load_results(tmp_path / f"{name}.npz") for name in ("theirs", "ours"))
    assert (theirs.scores == ours.scores).all()


def test_one_for_other_classes_is_not_evaluated(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    path = foreign(config, "tsm", ["common.model.num_class=7"])
    with pytest.raises(UserError, match=r"classifier\.weight: got shape \(7, 64\), needs \(3, 64\)"):
        main(["--config", str(config), "--evaluate", "--load-path", str(path)])


def start(tmp_path: Path, **kwargs: Any) -> tuple[Path, Path]:
    """A SlowFast experiment and a file of mmaction2's to start it from."""
    config = write_experiment(tmp_path, model=SLOWFAST, batch_size=2, val_freq=1, lr_scheduler={"max_iter": 1})
    path = foreign(config, "mmaction2", ["common.model.kwargs.lateral_norm=False"])
    return config, path


def test_a_run_that_started_from_one_goes_on_without_it(tmp_path: Path) -> None:
    config, path = start(tmp_path)
    arguments = ["--config", str(config), "--load-path", str(path)]
    assert main(arguments) == 0
    saved = checkpoint(config)["config"]
    assert saved["model"]["kwargs"]["lateral_norm"] is False
    assert saved["model"]["kwargs"]["slow_frames"] == "strided"
    assert saved["augmentation"]["mean"] == [0.485, 0.456, 0.406]
    path.unlink()
    assert main(["--config", str(config), "--set", "common.lr_scheduler.max_iter=2"]) == 0
    assert checkpoint(config)["iteration"] == 2
    resolved = load_config(config.parent / "config_resolved.yaml")
    assert resolved.model.kwargs.lateral_norm is False
    assert resolved.augmentation.std == [0.229, 0.224, 0.225]


def test_its_best_checkpoint_is_evaluated_as_it_was_trained(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config, path = start(tmp_path)
    pretrained = ["--set", f"common.model.pretrained={path}"]
    assert main(["--config", str(config), *pretrained]) == 0
    caplog.set_level(logging.INFO, "video_analysis")
    assert main(["--config", str(config), *pretrained, "--evaluate"]) == 0
    assert "set as our own has it" in log_of(config) + caplog.text
    assert "(iteration 1)" in log_of(config)
