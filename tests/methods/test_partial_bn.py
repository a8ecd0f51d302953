"""Partial BN: all batch norms but the first are frozen, again at every switch to training."""

import pytest
import torch
from torch import nn

from methods.build import build_method
from methods.method import Method
from methods.parameter_groups import parameter_groups
from tests.methods.small_models import model_config


def small(method_type: str = "tsn", *, partial_bn: bool = True, backbone: str = "resnet18") -> Method:
    kwargs = {"width": 8 if backbone == "resnet18" else 0.25, "partial_bn": partial_bn}
    return build_method(model_config(type=method_type, backbone=backbone, kwargs=kwargs))


def norms_of(method: Method) -> list[nn.BatchNorm2d]:
    return [module for module in method.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize("method_type", ["tsn", "tsm"])
@pytest.mark.parametrize(("backbone", "count"), [("resnet18", 20), ("mobilenetv2", 52)])
def test_only_the_first_norm_trains(method_type: str, backbone: str, count: int) -> None:
    method = small(method_type, backbone=backbone)
    norms = norms_of(method)
    assert len(norms) == count
    assert [norm.training for norm in norms] == [True] + [False] * (count - 1)
    assert [norm.weight.requires_grad for norm in norms] == [True] + [False] * (count - 1)
    assert norms[0].num_features == method.backbone.first_conv.out_channels


def test_it_lasts_over_repeated_switches() -> None:
    method = small()
    for _ in range(3):
        assert method.eval() is method
        assert not any(module.training for module in method.modules())
        assert method.train() is method
        assert [norm.training for norm in norms_of(method)] == [True] + [False] * 19
        assert method.dropout.training
        assert method.backbone.layer1.training, "only the norms are frozen"
    method.train(False)
    assert not norms_of(method)[0].training


def test_running_statistics_of_frozen_norms_stay() -> None:
    method = small()
    before = [norm.running_mean.clone() for norm in norms_of(method)]
    for _ in range(2):
        method(torch.randn(2, 3, 3, 32, 32))
        method.eval()
        method.train()
    changed = [not torch.equal(norm.running_mean, mean) for norm, mean in zip(norms_of(method), before)]
    assert changed == [True] + [False] * 19


def test_without_it_all_norms_train() -> None:
    method = small(partial_bn=False)
    assert all(norm.training and norm.weight.requires_grad for norm in norms_of(method))


@pytest.mark.parametrize("policy", ["plain", "tsm"])
def test_only_the_first_norms_parameters_enter_the_optimiser(policy: str) -> None:
    method = small()
    groups = parameter_groups(method, policy=policy, no_wd=True, weight_decay=1e-4)
    entered = {id(parameter) for group in groups for parameter in group["params"]}
    norms = norms_of(method)
    assert [id(norm.weight) in entered for norm in norms] == [True] + [False] * 19
    assert [id(norm.bias) in entered for norm in norms] == [True] + [False] * 19
    # 20 convolutions, the first norm's two, the classifier's two
    assert len(entered) == 24


def test_a_step_moves_what_is_trained_and_nothing_else() -> None:
    method = small()
    frozen = {id(parameter) for norm in norms_of(method)[1:] for parameter in norm.parameters()}
    before = {name: parameter.detach().clone() for name, parameter in method.named_parameters()}
    groups = parameter_groups(method, policy="plain", no_wd=False, weight_decay=0.1)
    optimizer = torch.optim.SGD(groups, lr=0.1)
    method(torch.randn(2, 3, 3, 32, 32)).square().sum().backward()
    optimizer.step()
    for name, parameter in method.named_parameters():
        assert torch.equal(parameter, before[name]) == (id(parameter) in frozen), name
