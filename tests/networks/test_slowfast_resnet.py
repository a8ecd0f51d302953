"""The two-pathway network: shapes, widths, laterals (its logits: tests/methods/test_parity.py)."""

import pytest
import torch

from networks import SLOWFAST_NETWORKS
from networks.block3d import Block3d
from networks.slowfast_resnet import SlowFastResNet


def shapes_of(network: torch.nn.Module, names: list[str]) -> list[tuple[int, ...]]:
    state = network.state_dict()
    return [tuple(state[name].shape) for name in names]


def test_the_stem_and_the_laterals_of_4x16() -> None:
    """Section 8: slow (1, 7, 7) 3 -> 64, fast (5, 7, 7) 3 -> 8; a lateral doubles the fast pathway's channels."""
    with torch.device("meta"):
        network = SlowFastResNet(depth=50)
    assert shapes_of(network, ["slow_stem.0.weight", "fast_stem.0.weight"]) == [(64, 3, 1, 7, 7), (8, 3, 5, 7, 7)]
    laterals = [tuple(each.conv.weight.shape) for each in network.laterals]
    assert laterals == [(16, 8, 5, 1, 1), (64, 32, 5, 1, 1), (128, 64, 5, 1, 1), (256, 128, 5, 1, 1)]
    assert [each.conv.stride for each in network.laterals] == [(8, 1, 1)] * 4
    assert [stage[0].conv1.in_channels for stage in network.slow_stages] == [80, 320, 640, 1280]
    assert [stage[-1].bn3.num_features for stage in network.slow_stages] == [256, 512, 1024, 2048]
    assert [stage[-1].bn3.num_features for stage in network.fast_stages] == [32, 64, 128, 256]
    assert network.feature_dim == 2304


def test_kernels_in_time() -> None:
    with torch.device("meta"):
        network = SlowFastResNet(depth=101, fusion_kernel=7, alpha=4)
    assert [stage[0].conv1.kernel_size[0] for stage in network.slow_stages] == [1, 1, 3, 3]
    assert [stage[0].conv1.kernel_size[0] for stage in network.fast_stages] == [3, 3, 3, 3]
    assert [len(stage) for stage in network.slow_stages] == [3, 4, 23, 3]
    assert [(each.conv.kernel_size, each.conv.padding) for each in network.laterals] == [((7, 1, 1), (3, 0, 0))] * 4


@pytest.mark.parametrize("depth", sorted(SLOWFAST_NETWORKS))
@pytest.mark.parametrize(("alpha", "fusion_kernel"), [(8, 5), (4, 7), (2, 1)])
def test_features_of_both_pathways_slow_first(depth: str, alpha: int, fusion_kernel: int) -> None:
    torch.manual_seed(0)
    network = SLOWFAST_NETWORKS[depth](width=8, beta=4, alpha=alpha, fusion_kernel=fusion_kernel).eval()
    expansion = 1 if depth == "resnet18" else 4
    assert network.feature_dim == (64 + 16) * expansion
    slow, fast = torch.randn(2, 3, 8 // alpha, 32, 32), torch.randn(2, 3, 8, 32, 32)
    with torch.no_grad():
        features, other_slow = network(slow, fast), network(slow + 1, fast)
    assert features.shape == (2, network.feature_dim)
    changed = (features != other_slow).any(0)
    assert changed[: 64 * expansion].any()
    assert not changed[64 * expansion :].any(), "nothing goes from the slow pathway to the fast one"


def test_the_fast_pathway_reaches_the_slow_one() -> None:
    torch.manual_seed(0)
    network = SlowFastResNet(depth=18, width=8).eval()
    slow, fast = torch.randn(1, 3, 1, 32, 32), torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        difference = network(slow, fast) - network(slow, 2 * fast)
    assert difference[:, :64].abs().max() > 0


def test_a_block_starts_as_the_identity() -> None:
    network = SlowFastResNet(depth=50, width=8)
    blocks = [module for module in network.modules() if isinstance(module, Block3d)]
    assert len(blocks) == 2 * 16
    assert all(torch.count_nonzero(block.last_bn.weight) == 0 for block in blocks)
    x = torch.rand(2, 32, 3, 5, 5)
    assert torch.equal(network.slow_stages[0][1](x), x)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 0}, "width: got 0, needs at least 1"), ({"width": -64}, "width: got -64"),
     ({"beta": 3}, "beta: got 3, needs a divisor of the width 64"), ({"beta": 0}, "beta: got 0"),
     ({"beta": -8}, "beta: got -8"), ({"alpha": 0}, "alpha: got 0, needs at least 1"),
     ({"fusion_kernel": 4}, "fusion_kernel: got 4, needs an odd number"),
     ({"fusion_kernel": -1}, "fusion_kernel: got -1")],
)  # fmt: skip
def test_options_out_of_range_are_named(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlowFastResNet(depth=50, **options)
