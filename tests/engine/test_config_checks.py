"""What the engine takes from the config: sync-BN's options and the protocol's name."""

from pathlib import Path
from typing import Any

import pytest

from engine.config_checks import engine_mistakes, protocol_overrides
from tests.experiments import write_experiment
from utils.config_file import load_config
from utils.errors import UserError


def mistakes(tmp_path: Path, *overrides: str) -> tuple[str, ...]:
    path = write_experiment(tmp_path)
    try:
        load_config(path, overrides, checks=(engine_mistakes,))
    except UserError as error:
        return error.lines
    return ()


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "True", "two"])
def test_a_group_is_a_whole_number_of_ranks(value: Any, tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, f"common.model.kwargs.bn_group_size={value}")
    assert line.startswith("--set: common.model.kwargs.bn_group_size: got ")
    assert "needs a whole number of ranks, at least 1" in line


def test_several_at_once_and_the_closest_protocol(tmp_path: Path) -> None:
    sync_stats, protocol = mistakes(tmp_path, "common.model.kwargs.bn_sync_stats=1", "common.val_protocol=tsn-25x1")
    assert sync_stats == "--set: common.model.kwargs.bn_sync_stats: got 1, needs True or False"
    assert "got 'tsn-25x1', needs one of center, tsn-25x10, " in protocol
    assert protocol.endswith("Did you mean 'tsn-25x10'?")


def test_what_is_right_passes(tmp_path: Path) -> None:
    right = ("common.model.kwargs.bn_group_size=16", "common.model.kwargs.bn_sync_stats=True")
    assert mistakes(tmp_path, *right, "common.val_protocol=tsm-twice-3crop") == ()


def test_protocol_on_the_command_line() -> None:
    assert protocol_overrides(None) == []
    assert protocol_overrides("dense") == ["common.val_protocol=null", "common.val_dense=True"]
    assert protocol_overrides("center") == ["common.val_protocol=center", "common.val_dense=False"]


def test_the_crop_of_slowfast_fits_its_jitter(tmp_path: Path) -> None:
    slowfast = ("common.model.type=slowfast", "common.model.backbone=resnet18", "common.augmentation.test_resize=300")
    assert mistakes(tmp_path, *slowfast, "common.augmentation.input_size=256") == ()
    (line,) = mistakes(tmp_path, *slowfast, "common.augmentation.input_size=288")
    assert "jitter_sizes: got 256, needs at least input_size (288)" in line
