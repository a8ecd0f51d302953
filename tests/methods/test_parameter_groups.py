"""Rates and decay by kind of parameter, against the table of TSM's sources (semantics, section 6)."""

import pytest
import torch
from torch import nn

from methods.build import build_method
from methods.method import Method
from methods.parameter_groups import parameter_groups
from methods.tsn import TSN
from networks.image_network import ImageNetwork
from tests.methods.small_models import model_config

DECAY = 0.01


def rates_of(method: Method, **options: object) -> dict[str, tuple[float, float]]:
    """Parameter -> its factor on the rate, its factor on the decay."""
    settings = {"policy": "tsm", "no_wd": False, "weight_decay": DECAY, **options}
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    rates: dict[str, tuple[float, float]] = {}
    for group in parameter_groups(method, **settings):
        for parameter in group["params"]:
            assert names[id(parameter)] not in rates, "in two groups"
            rates[names[id(parameter)]] = (group["lr_mult"], group["weight_decay"] / DECAY)
    return rates


class Biased(ImageNetwork):
    """One convolution with a bias after another, a norm and a linear layer: every kind of parameter there is."""

    feature_dim = 4

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, 4, 3)
        self.second = nn.Conv2d(4, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 4)

    @property
    def first_conv(self) -> nn.Conv2d:
        return self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.norm(self.second(self.first(x))).mean(dim=(2, 3)))


@pytest.mark.parametrize(("modality", "first"), [("RGB", ((1, 1), (2, 0))), ("Flow", ((5, 1), (10, 0)))])
def test_the_table_of_tsm(modality: str, first: tuple[tuple[float, float], ...]) -> None:
    method = TSN(Biased(3 if modality == "RGB" else 10), num_class=2, modality=modality)
    assert rates_of(method) == {
        "backbone.first.weight": first[0],
        "backbone.first.bias": first[1],
        "backbone.second.weight": (1, 1),
        "backbone.second.bias": (2, 0),
        "backbone.norm.weight": (1, 0),
        "backbone.norm.bias": (1, 0),
        "backbone.linear.weight": (1, 1),
        "backbone.linear.bias": (2, 0),
        "classifier.weight": (5, 1),
        "classifier.bias": (10, 0),
    }


@pytest.mark.parametrize(("no_wd", "undecayed"), [(False, set()), (True, {"bias", "norm.weight"})])
def test_plain_has_one_rate_and_spares_biases_and_norms_with_no_wd(no_wd: bool, undecayed: set[str]) -> None:
    rates = rates_of(TSN(Biased(3), num_class=2), policy="plain", no_wd=no_wd)
    assert len(rates) == 10
    spared = {name for name, (rate, decay) in rates.items() if (rate, decay) == (1, 0)}
    assert spared == {name for name in rates if name.endswith(tuple(undecayed))}
    assert {rates[name] for name in rates.keys() - spared} == {(1, 1)}
    assert len(spared) == (6 if no_wd else 0)


@pytest.mark.parametrize("policy", ["plain", "tsm"])
@pytest.mark.parametrize(
    ("method_type", "backbone"), [("tsm", "resnet18"), ("tsn", "mobilenetv2"), ("slowfast", "resnet18"),
                                  ("image", "resnet18")],
)  # fmt: skip
def test_every_parameter_is_in_one_group(method_type: str, backbone: str, policy: str) -> None:
    width = 0.25 if backbone == "mobilenetv2" else 8
    method = build_method(model_config(type=method_type, backbone=backbone, kwargs={"width": width}))
    rates = rates_of(method, policy=policy, no_wd=True)
    assert rates.keys() == {name for name, _ in method.named_parameters()}
    norms = {name for name, module in method.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)}
    assert {rates[f"{name}.weight"] for name in norms} == {(1, 0)}


def test_groups_are_few_and_say_what_they_are() -> None:
    method = build_method(model_config(type="tsm", modality="Flow"))
    groups = parameter_groups(method, policy="tsm", no_wd=False, weight_decay=5e-4)
    assert {(group["name"], group["lr_mult"], group["weight_decay"], len(group["params"])) for group in groups} == {
        ("rate x 5, decay x 1", 5.0, 5e-4, 2),  # the first convolution and the classifier
        ("rate x 1, decay x 1", 1.0, 5e-4, 19),
        ("rate x 1, decay x 0", 1.0, 0.0, 40),
        ("rate x 10, decay x 0", 10.0, 0.0, 1),
    }


def test_frozen_parameters_stay_out() -> None:
    method = TSN(Biased(3), num_class=2)
    method.backbone.second.weight.requires_grad_(False)
    assert "backbone.second.weight" not in rates_of(method)
    assert len(rates_of(method)) == 9
