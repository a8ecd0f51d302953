"""Two ranks of four clips equal one rank of eight: real processes, Gloo on loopback."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from engine.distributed import World
from engine.sync_bn import GroupBatchNorm, settle_running_stats, synchronise_bn
from tests.engine.rank_processes import on_ranks
from utils.errors import UserError

CLIPS = 8


def network(dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2, momentum=None)]
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)).to(dtype)


def data(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    clips = 3 * torch.randn(CLIPS, 3, 9, 9, generator=generator, dtype=dtype) + 5
    return clips, torch.arange(CLIPS) % 3


def two_steps(model: nn.Module, clips: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """Losses of two steps (gradients of the second stay)."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for _ in range(2):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(clips), labels)
        loss.backward()
        losses.append(loss.detach())
        optimizer.step()
    return losses


def outcome(model: nn.Module, losses: list[torch.Tensor]) -> dict[str, Any]:
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {"losses": losses, "gradients": gradients, "state": model.state_dict()}


def one_rank(dtype: torch.dtype) -> dict[str, Any]:
    model, (clips, labels) = network(dtype), data(dtype)
    with torch.no_grad():
        model.eval()(clips)  # settles the lazy layer
    model.train()
    return outcome(model, two_steps(model, clips, labels))


def rank_steps(world: World, group_size: int, dtype: torch.dtype) -> dict[str, Any]:
    model, (clips, labels) = network(dtype), data(dtype)
    with torch.no_grad():
        model.eval()(clips)
    model.train()
    keys = list(model.state_dict())
    synchronise_bn(model, world=world, bn_group_size=group_size)
    assert list(model.state_dict()) == keys, "conversion changed the keys"
    wrapped = DistributedDataParallel(model)
    mine = slice(world.rank * CLIPS // world.size, (world.rank + 1) * CLIPS // world.size)
    losses = two_steps(wrapped, clips[mine], labels[mine])
    for loss in losses:
        dist.all_reduce(loss)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settle_running_stats(model, world, average=True)
    return {**outcome(model, [loss / world.size for loss in losses]), "before": before}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_two_ranks_of_four_equal_one_of_eight(dtype: torch.dtype, tolerance: float, tmp_path: Path) -> None:
    expected = one_rank(dtype)
    for result in on_ranks(rank_steps, tmp_path, 2, dtype):
        torch.testing.assert_close(result["losses"], expected["losses"], rtol=0, atol=tolerance)
        torch.testing.assert_close(result["gradients"], expected["gradients"], rtol=0, atol=tolerance)
        for name, value in expected["state"].items():
            torch.testing.assert_close(result["before"][name], value, rtol=tolerance, atol=tolerance, msg=name)


def test_groups_of_two_among_four_share_within_and_not_across(tmp_path: Path) -> None:
    results = on_ranks(rank_steps, tmp_path, 2, torch.float64, ranks=4)
    means = [result["before"]["1.running_mean"] for result in results]
    assert torch.equal(means[0], means[1])
    assert torch.equal(means[2], means[3])
    assert not torch.allclose(means[0], means[2])
    for result in results:  # bn_sync_stats: all ranks end with the mean over all
        torch.testing.assert_close(result["state"]["1.running_mean"], torch.stack(means).mean(dim=0))


def test_evaluation_mode_and_one_rank_are_plain() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean.normal_()
    converted = GroupBatchNorm(norm, group=None).eval()
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(converted(x), norm.eval()(x))
    world = World(rank=0, size=1, local_rank=0, device=torch.device("cpu"))
    model = nn.Sequential(norm)
    synchronise_bn(model, world=world, bn_group_size=16)
    assert model[0] is norm


def test_a_group_that_does_not_divide_the_world_is_refused() -> None:
    world = World(rank=0, size=4, local_rank=0, device=torch.device("cpu"))
    with pytest.raises(UserError, match="got 3, needs a divisor of the 4 ranks"):
        synchronise_bn(nn.Sequential(nn.BatchNorm2d(3)), world=world, bn_group_size=3)
