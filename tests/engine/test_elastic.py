"""Another number of ranks with the same global batch goes on with the same clips; else it says what to set."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.command_processes import Finished, run, run_ranks
from tests.engine.runs import curves
from tests.engine.test_resume import sibling
from tests.experiments import checkpoint, write_experiment

HALF = "common.lr_scheduler.max_iter=3"
PLAIN: dict[str, Any] = {"augmentation": {"mix_up": 0.0, "colorjitter": None}, "model": {"dropout": 0.0}}


def trained(config: Path, ranks: int, *changes: str) -> list[Finished]:
    options = [part for change in changes for part in ("--set", change)]
    return [run(config, *options)] if ranks == 1 else run_ranks(config, *options, ranks=ranks)


@pytest.mark.parametrize(("first", "then"), [(1, 2), (2, 1), (2, 4)])
def test_each_clip_once_and_nearly_the_same_weights(first: int, then: int, tmp_path: Path) -> None:
    """BN over all ranks sees the same clips; sums round in another order, which small layers' statistics amplify."""
    sync = {"kwargs": {"width": 8, "bn_group_size": 4, "bn_sync_stats": True}}
    changes = {**PLAIN, "model": {**PLAIN["model"], **sync}, "print_freq": 1, "lr_scheduler": {"base_lr": 0.001}}
    straight = write_experiment(tmp_path, val_freq=6, ckpt_freq=3, **changes)
    assert trained(straight, 1, "common.batch_size=4")[0].status == 0
    changed = sibling(straight, "changed")
    assert {each.status for each in trained(changed, first, HALF, f"common.batch_size={4 // first}")} == {0}
    assert checkpoint(changed)["world_size"] == first
    assert {each.status for each in trained(changed, then, f"common.batch_size={4 // then}")} == {0}
    ours, theirs = (torch.tensor(curves(config.parent)["train/loss"]) for config in (changed, straight))
    assert ours[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=0)


def test_another_global_batch_says_what_to_set(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    assert trained(config, 1, HALF)[0].status == 0
    before = (config.parent / "log.txt").read_text()
    finished = trained(config, 2)
    assert [each.status for each in finished] == [2, 2]
    assert "got 2 rank(s) x batch_size 4 x accumulate 1 = 8 clips per iteration" in finished[0].err
    assert finished[0].err.rstrip().endswith("once per epoch: set batch_size: 2")
    assert (config.parent / "log.txt").read_text() == before
    assert "start a number of ranks that divides 4" in trained(config, 3)[0].err
