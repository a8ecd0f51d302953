"""Rates by group, clipping, precision."""

import pytest
import torch
from torch import nn

from engine.optimizer import autocast_for, build_optimizer, build_scaler, clip_gradients, set_learning_rate
from utils.errors import UserError

CPU = torch.device("cpu")


def test_one_step_of_sgd_with_momentum_by_hand() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    groups = [{"params": [weight], "name": "all", "lr_mult": 5.0, "weight_decay": 0.1}]
    optimizer = build_optimizer(groups, name="SGD", momentum=0.9, nesterov=True)
    set_learning_rate(optimizer, 0.01)
    weight.grad = torch.tensor([2.0])
    optimizer.step()
    # gradient 2 + 0.1 * 1 = 2.1; Nesterov's first step: 2.1 + 0.9 * 2.1 = 3.99; rate 5 * 0.01
    assert weight.item() == pytest.approx(1 - 0.05 * 3.99)


def test_adamw_decays_by_group() -> None:
    decayed, free = nn.Parameter(torch.ones(1)), nn.Parameter(torch.ones(1))
    groups = [
        {"params": [decayed], "name": "a", "lr_mult": 1.0, "weight_decay": 0.5},
        {"params": [free], "name": "b", "lr_mult": 1.0, "weight_decay": 0.0},
    ]
    optimizer = build_optimizer(groups, name="ADAMW", momentum=0.9, nesterov=False)
    set_learning_rate(optimizer, 0.1)
    decayed.grad, free.grad = torch.zeros(1), torch.zeros(1)
    optimizer.step()
    assert decayed.item() == pytest.approx(1 - 0.1 * 0.5)
    assert free.item() == 1.0


def test_clipping_scales_all_gradients_together() -> None:
    weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    weights[0].grad, weights[1].grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert clip_gradients(weights, 1.0).item() == pytest.approx(5.0)
    assert [weight.grad.item() for weight in weights] == pytest.approx([0.6, 0.8], rel=1e-5)


def test_bf16_runs_on_the_cpu() -> None:
    layer = nn.Linear(4, 2)
    with autocast_for("bf16", CPU):
        assert layer(torch.ones(1, 4)).dtype == torch.bfloat16
    with autocast_for("fp32", CPU):
        assert layer(torch.ones(1, 4)).dtype == torch.float32


def test_fp16_without_a_gpu_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="fp16, which needs a GPU"):
        build_scaler("fp16", CPU)


@pytest.mark.cuda
def test_fp16_scales_on_a_gpu() -> None:
    assert build_scaler("fp16", torch.device("cuda")).is_enabled()
