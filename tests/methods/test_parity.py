"""Logits of imported checkpoints against those that the peers' own code gave for the same weights (../shared/parity).

Each fixture's weights are built by its rule, written as its family writes them, and imported as a user would: the path
of a file, a config on disk. Nothing here knows a peer's names.
"""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from methods import build_method, kwargs_mistakes
from tests.shared_material import SHARED, needs_shared
from utils.config_file import load_config

TOLERANCE = 1e-5  # largest difference / largest logit
FIXTURES = sorted((SHARED / "parity").glob("*.json"))
CLIP_METHODS = {
    "slowfast": "slowfast",
    "slowonly": "slow",
    "slow": "slow",
    "c2d": "c2d",
    "i3d": "i3d",
    "r2plus1d": "r2plus1d",
}


def parity_lib() -> ModuleType:
    """The rules that build a fixture's weights and inputs."""
    spec = importlib.util.spec_from_file_location("parity_lib", SHARED / "parity" / "parity_lib.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def file_contents(name: str, weights: dict[str, torch.Tensor]) -> dict[str, Any]:
    """What a checkpoint of the fixture's family holds on disk."""
    if name.startswith("official"):
        parallel = {f"module.{key}": value for key, value in weights.items()}
        optimizer = {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.01, "params": [0]}]}
        return {"epoch": 50, "arch": "resnet50", "state_dict": parallel, "optimizer": optimizer, "best_prec1": 70.0}
    if name.startswith("mmaction2"):
        return {"meta": {"epoch": 50, "config": "model = dict()"}, "state_dict": weights, "optimizer": {"state": {}}}
    if name.startswith("pyslowfast"):
        return {"epoch": 195, "model_state": weights, "optimizer_state": {"state": {}}, "cfg": "NUM_GPUS: 8\n"}
    return {"model_state": weights}


def model_of(fixture: dict[str, Any]) -> dict[str, Any]:
    """The method and the backbone that a user would name for the fixture's model."""
    name = fixture["fixture"].split("_", 1)[1]
    if match := re.search(r"x3d_(xs|s|m|l)(?=_|$)", name):
        return {"type": "x3d", "backbone": match[0], "num_frames": frames_of(fixture)}
    depth = re.search(r"(?:resnet|_r)(\d+)", name)
    backbone = "mobilenetv2" if "mobilenet" in name else f"resnet{depth[1]}"
    for word, method in CLIP_METHODS.items():
        if re.search(rf"(^|_){word}(_|$)", name):
            return {"type": method, "backbone": backbone, "num_frames": frames_of(fixture)}
    return {"type": "tsm" if "tsm" in name else "tsn", "backbone": backbone, "num_segments": 8}


def frames_of(fixture: dict[str, Any]) -> int:
    return fixture["input_shape"][-3]


def write_config(folder: Path, model: dict[str, Any]) -> Path:
    """The smallest config that names a model."""
    common = {
        "model": {"num_class": 400, **model},
        "batch_size": 1,
        "lr_scheduler": {"base_lr": 0.01, "max_iter": 1},
        **{f"{split}_{key}": "x" for split in ("train", "val") for key in ("root", "source")},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"common": common}), encoding="utf-8")
    return path


def as_ours(clip: torch.Tensor, layout: str) -> torch.Tensor:
    """A peer's input -> (B, T, C, H, W)."""
    if layout.startswith("(N, T*3"):
        return clip.unflatten(1, (-1, 3))
    if layout.startswith("(N, num_segs"):
        return clip
    return (clip[:, 0] if clip.ndim == 6 else clip).transpose(1, 2)


def relative_difference(logits: torch.Tensor, expected: list[Any]) -> float:
    """Largest absolute difference / largest absolute logit."""
    wanted = torch.tensor(expected, dtype=torch.float64).flatten()
    return float((logits.double().flatten() - wanted).abs().max() / wanted.abs().max())


@needs_shared
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_an_imported_checkpoint_gives_the_peers_logits(path: Path, tmp_path: Path) -> None:
    library, fixture = parity_lib(), json.loads(path.read_text())
    weights = library.weights(fixture)
    torch.save(file_contents(path.name, weights), tmp_path / "theirs.pth")
    config = write_config(tmp_path, {**model_of(fixture), "pretrained": str(tmp_path / "theirs.pth")})
    method = build_method(load_config(config, checks=(kwargs_mistakes,)).model).eval()
    for clip, expected in zip(library.inputs(fixture), (fixture, fixture["structured"])):
        with torch.inference_mode():
            logits = method(as_ours(clip, fixture["input_layout"]))
        assert relative_difference(logits, expected["logits_fp64"]) <= TOLERANCE


@needs_shared
def test_there_are_fixtures_of_every_family() -> None:
    families = {path.name.split("_")[0] for path in FIXTURES}
    assert families == {"official", "mmaction2", "pyslowfast", "pytorchvideo"}
