import pytest
import torch
from torch import nn

from networks import VIDEO_NETWORKS
from networks.x3d import SqueezeExcitation, X3DBlock, X3DNetwork

META = torch.device("meta")


@pytest.mark.parametrize(
    ("size", "parameters", "blocks", "head_pool"),
    [
        ("xs", 3_794_322, [3, 5, 11, 7], 5),  # the fixture of PySlowFast
        ("s", 3_794_322, [3, 5, 11, 7], 5),
        ("m", 3_794_322, [3, 5, 11, 7], 7),
        ("l", 6_153_432, [5, 10, 25, 15], 10),  # PySlowFast: 6.15 M
    ],
)
def test_published_sizes(size: str, parameters: int, blocks: list[int], head_pool: int) -> None:
    with META:
        network = VIDEO_NETWORKS["x3d"][f"x3d_{size}"]()
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count + 400 * network.feature_dim + 400 == parameters
    assert [len(stage) for stage in network.stages] == blocks
    assert network.head_pool == head_pool


def test_only_the_norm_of_the_first_shortcut_is_left_out() -> None:
    """PyTorchVideo's networks have 48 parameters less: 24 weights and 24 biases."""
    with META:
        with_norm, without = X3DNetwork(), X3DNetwork(res2_shortcut_norm=False)
    assert {key for key in with_norm.state_dict() if key not in without.state_dict()} == {
        f"stages.0.0.downsample.1.{name}"
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }


def test_every_second_block_weighs_its_channels() -> None:
    with META:
        network = X3DNetwork()
    squeezed = [[isinstance(block.se, SqueezeExcitation) for block in stage] for stage in network.stages]
    assert squeezed[0] == [True, False, True]
    assert squeezed[1] == [True, False, True, False, True]
    assert [stage[0].se.fc1.out_channels for stage in network.stages] == [8, 8, 16, 32]


def test_time_keeps_its_length_and_space_is_halved_five_times() -> None:
    network = X3DNetwork(head_pool=1).eval()
    with torch.inference_mode():
        assert network.positions(torch.zeros(2, 3, 3, 96, 64)).shape == (2, 3 * 2, 2048)
        assert network.stages[0](network.stem(torch.zeros(1, 3, 3, 96, 64))).shape == (1, 24, 3, 24, 16)


def test_channels_are_weighed_by_what_the_whole_clip_holds() -> None:
    layer = SqueezeExcitation(8)
    for linear, bias in ((layer.fc1, 0.0), (layer.fc2, 2.0)):
        nn.init.zeros_(linear.weight)
        nn.init.constant_(linear.bias, bias)
    x = torch.ones(1, 8, 2, 2, 2)
    assert torch.allclose(layer(x), x * 0.880797)  # sigmoid(2)


def test_a_new_block_is_the_identity() -> None:
    network = X3DNetwork()
    block = network.stages[0][1].eval()
    assert isinstance(block, X3DBlock)
    x = torch.rand(1, 24, 2, 8, 8)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("option", "value"), [("depth_factor", 0.0), ("head_pool", -1)])
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^{option}: got {value}"):
        X3DNetwork(**{option: value})
