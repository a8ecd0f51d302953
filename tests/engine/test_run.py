"""What a run is made of, and that its state is all of it."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from engine.distributed import World
from engine.run import normalisation, place
from engine.sync_bn import synchronise_bn
from methods import build_method
from tests.engine.runs import EVERYTHING
from tests.engine.test_train_step import batch, build, train_step
from tests.experiments import differences, write_experiment
from utils.config_file import load_config


def test_state_is_complete(tmp_path: Path) -> None:
    """Restored into a new run, the next step is the same to the last bit."""
    config = write_experiment(tmp_path, **EVERYTHING)
    run, other = build(config), build(config, "common.seed=0")
    for run.iteration in range(1, 3):
        train_step(run, [batch(range(4)), batch(range(4, 8))])
    run.window, run.best_metric, run.best_iteration, run.evaluated = {"loss": 1.5, "iterations": 2.0}, 50.0, 1, 1
    assert differences(run.state(), other.state())
    torch.save(run.state(), tmp_path / "state.pt")
    other.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert not differences(run.state(), other.state())
    for each in (run, other):
        train_step(each, [batch(range(4), 1), batch(range(4, 8), 1)])
    assert not differences(run.state(), other.state())


def test_momenta_find_their_parameters_in_another_order_of_groups(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    run, other = build(config), build(config, "common.no_wd=True")
    train_step(run, [batch(range(4))])
    assert len(run.optimizer.param_groups) != len(other.optimizer.param_groups)
    other.restore(run.state())
    assert not differences(run.state()["optimizer"], other.state()["optimizer"])
    for name, parameter in other.method.named_parameters():
        assert other.optimizer.state[parameter]["momentum_buffer"].shape == parameter.shape, name


def test_a_new_average_starts_from_the_weights(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    run, averaged = build(config), build(config, "common.ema=0.9")
    train_step(run, [batch(range(4))])
    averaged.restore(run.state())
    assert not differences(averaged.scored.state_dict(), run.method.state_dict())
    assert averaged.scored is not averaged.method
    run.restore(averaged.state())  # and one that is no longer wanted is left out
    assert run.scored is run.method


def test_only_rank_0_goes_on_from_the_sums_of_all_ranks(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    run = build(config)
    run.window = {"loss": 2.5, "iterations": 6.0}
    state = run.state()
    run.world = World(rank=1, size=2, local_rank=1, device=run.world.device)
    run.restore(state)
    assert run.window == {"loss": 0.0, "iterations": 0.0}


def test_first_weights_follow_from_the_seed(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    torch.rand(3)
    one, other, third = build(config), build(config), build(config, "common.seed=1")
    assert not differences(one.method.state_dict(), other.method.state_dict())
    assert differences(one.method.state_dict(), third.method.state_dict())


@pytest.mark.parametrize("channels_last", [True, False])
def test_place_chooses_the_memory_of_convolutions(channels_last: bool, tmp_path: Path) -> None:
    config = load_config(write_experiment(tmp_path), [f"common.channels_last={channels_last}"])
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    weight = place(build_method(config.model), config, world).backbone.conv1.weight
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_the_configs_mean_and_std_come_before_the_methods(tmp_path: Path) -> None:
    config = load_config(write_experiment(tmp_path))
    method = build_method(config.model)
    assert normalisation(config, method) == (method.mean, method.std)
    own = load_config(write_experiment(tmp_path), ["common.augmentation.mean=[0.5, 0.4, 0.3]"])
    assert normalisation(own, method) == ((0.5, 0.4, 0.3), method.std)


@pytest.mark.cuda
def test_sync_bn_on_gpus_is_torchs_own(tmp_path: Path) -> None:
    """Conversion only: the world says two ranks, the group behind it has this one."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).cuda()
        keys = list(model.state_dict())
        converted = nn.SyncBatchNorm.convert_sync_batchnorm(model, dist.group.WORLD)
        assert isinstance(converted[1], nn.SyncBatchNorm)
        assert list(converted.state_dict()) == keys
        lone = nn.Sequential(nn.BatchNorm2d(4)).cuda()
        synchronise_bn(lone, world=World(rank=0, size=1, local_rank=0, device=torch.device("cuda")), bn_group_size=8)
        assert type(lone[0]) is nn.BatchNorm2d
    finally:
        dist.destroy_process_group()
