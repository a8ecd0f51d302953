"""ResNet against torchvision's."""

import pytest
import torch
from torchvision import models

from networks import IMAGE_NETWORKS
from networks.resnet import ResNet
from tests.networks.torchvision_pair import (
    assert_same_gradients,
    assert_same_logits,
    backbone_weights,
    reference_of,
    without_weights,
)

SLOW = ("resnet101", "resnet152", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2")
LARGE = [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]
NAMES = ["resnet18", "resnet34", "resnet50", "resnext50_32x4d", *LARGE]


@pytest.mark.parametrize("name", NAMES)
def test_logits_equal_torchvisions(name: str) -> None:
    torch.manual_seed(0)
    reference = reference_of(lambda: getattr(models, name)(weights=None))
    assert_same_logits(without_weights(IMAGE_NETWORKS[name]), reference, reference.fc)


@pytest.mark.parametrize("name", sorted(IMAGE_NETWORKS.keys() - {"mobilenetv2"}))
def test_names_and_shapes_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        ours, reference = IMAGE_NETWORKS[name](), getattr(models, name)(weights=None)
    wanted = {key: value.shape for key, value in backbone_weights(reference).items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == wanted
    assert ours.feature_dim == reference.fc.in_features == (512 if name in ("resnet18", "resnet34") else 2048)


@pytest.mark.parametrize("depth", [18, 50])
def test_gradients_equal_torchvisions(depth: int) -> None:
    """The sums and ReLUs that work in place lose nothing that the backward pass needs."""
    torch.manual_seed(depth)
    reference = reference_of(lambda: getattr(models, f"resnet{depth}")(weights=None))
    reference.fc = torch.nn.Identity()
    assert_same_gradients(without_weights(lambda: ResNet(depth=depth)), reference)


def test_initial_weights_have_torchvisions_spread() -> None:
    torch.manual_seed(0)
    ours = ResNet(depth=18)
    # fan-out of layer4's 3x3 convolutions: 512 x 9
    assert ours.state_dict()["layer4.1.conv2.weight"].std().item() == pytest.approx((2 / (512 * 9)) ** 0.5, rel=0.01)
    assert torch.equal(ours.bn1.weight, torch.ones(64))


def test_width_scales_every_layer() -> None:
    thin = ResNet(depth=50, width=8)
    assert thin.first_conv.weight.shape == (8, 3, 7, 7)
    assert [stage[0].conv1.out_channels for stage in thin.stages] == [8, 16, 32, 64]
    assert thin.feature_dim == 8 * 8 * 4
    assert thin(torch.zeros(2, 3, 32, 32)).shape == (2, 256)
    assert ResNet(depth=18, width=8).feature_dim == 64


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="width: got 0, needs at least 1"):
        ResNet(depth=18, width=0)


@pytest.mark.parametrize("in_channels", [1, 10, 15])
def test_other_inputs_change_the_first_convolution_only(in_channels: int) -> None:
    colours, other = ResNet(depth=18, width=8), ResNet(depth=18, width=8, in_channels=in_channels)
    shapes = [{key: value.shape for key, value in each.state_dict().items()} for each in (colours, other)]
    assert {key for key in shapes[0] if shapes[0][key] != shapes[1][key]} == {"conv1.weight"}
    assert other.first_conv.weight.shape == (8, in_channels, 7, 7)
    assert other(torch.zeros(2, in_channels, 32, 32)).shape == (2, 64)


@pytest.mark.parametrize(
    ("depth", "counts"),
    [(18, [2, 2, 2, 2]), (34, [3, 4, 6, 3]), (50, [3, 4, 6, 3]), (101, [3, 4, 23, 3]), (152, [3, 8, 36, 3])],
)
def test_residual_blocks_by_stage(depth: int, counts: list[int]) -> None:
    with torch.device("meta"):
        network = ResNet(depth=depth)
    assert [len(stage) for stage in network.residual_blocks()] == counts


@pytest.mark.parametrize("depth", [18, 50])
def test_the_slot_is_in_the_residual_branch_alone(depth: int) -> None:
    """A block whose branch sees zeros gives the ReLU of its identity; what came in is left as it was."""
    block = ResNet(depth=depth, width=8).eval().residual_blocks()[0][1]
    block.before_first_conv = torch.nn.Threshold(float("inf"), 0.0)
    x = torch.randn(2, 8 if depth == 18 else 32, 4, 4)
    kept = x.clone()
    with torch.no_grad():
        assert torch.equal(block(x), kept.relu())
    assert torch.equal(x, kept)
