"""Four ranks, stopped and gone on, end bitwise as the unbroken run: DDP's layout is the same from every first step."""

from pathlib import Path

import pytest
import torch

from datasets.loaders import Batch
from engine.distributed import World
from engine.train_step import settle_buckets
from tests.engine.command_processes import run_ranks
from tests.engine.rank_processes import on_ranks
from tests.engine.runs import assemble, logged
from tests.engine.test_resume import sibling
from tests.experiments import checkpoint, differences, write_experiment

RANKS, LENGTH, STOPPED = 4, 20, 7


@pytest.mark.slow
def test_stopped_at_7_of_20_and_gone_on(tmp_path: Path) -> None:
    schedule = {"type": "STEP", "lr_steps": [5], "lr_mults": [0.1], "base_lr": 0.05, "max_iter": LENGTH}
    config = write_experiment(
        tmp_path, videos=16, batch_size=2, lr_scheduler=schedule, print_freq=1, val_freq=100, ema=0.9, clip_gradient=1.0
    )
    stopped = sibling(config, "stopped")
    shorter = ["--set", f"common.lr_scheduler.max_iter={STOPPED}"]
    for path, arguments in ((config, []), (stopped, shorter), (stopped, [])):
        finished = run_ranks(path, *arguments, ranks=RANKS)
        assert [each.status for each in finished] == [0] * RANKS, finished[0].err
    one, other = (checkpoint(path) for path in (config, stopped))
    assert other["iteration"] == LENGTH
    learnt = [{key: value for key, value in state["model"].items() if "running_" not in key} for state in (one, other)]
    assert not differences(*learnt)
    assert not differences(one["optimizer"], other["optimizer"])
    losses = [
        {key: line for key, line in logged(path.parent).items() if key.startswith("iter")} for path in (config, stopped)
    ]
    assert losses[0] == losses[1]
    assert len(losses[0]) == LENGTH


def untouched(world: World, path: str) -> bool:
    run, loader, _ = assemble(Path(path), world=world)
    batch: Batch = next(loader)
    before = {name: tensor.clone() for name, tensor in run.method.state_dict().items()}
    settle_buckets(run, batch)
    same = all(torch.equal(tensor, before[name]) for name, tensor in run.method.state_dict().items())
    return same and all(parameter.grad is None for parameter in run.method.parameters())


def test_settling_them_changes_nothing(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, model={"kwargs": {"width": 8, "bn_group_size": 2}})
    assert on_ranks(untouched, tmp_path, str(config)) == [True, True]
