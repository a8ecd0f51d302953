"""SlowFast as mmaction2 has it (laterals without norm), and the R101 of 16x8 (res4 that looks at time in part)."""

import pytest
import torch

from networks.slowfast_resnet import SlowFastResNet

META = torch.device("meta")


def parameters(*, head: int = 400, **options: int | bool) -> int:
    with META:
        network = SlowFastResNet(**options)
    return sum(parameter.numel() for parameter in network.parameters()) + head * (network.feature_dim + 1)


@pytest.mark.parametrize(
    ("options", "published"),
    [
        ({"depth": 50, "lateral_norm": False}, 34_479_288),  # mmaction2's 4x16
        ({"depth": 50, "lateral_norm": False, "alpha": 4, "fusion_kernel": 7}, 34_565_560),  # its 8x8
        ({"depth": 101, "alpha": 4}, 62_826_968),  # PyTorchVideo's 8x8: 62.83 M
        ({"depth": 101, "alpha": 4, "slow_res4_blocks": 6, "fast_res4_blocks": 6}, 53_774_808),  # its 16x8: 53.77 M
        ({"depth": 101, "alpha": 4, "slow_res4_blocks": 6}, 53_914_072),  # PySlowFast's R101_50_101
    ],
)
def test_parameters(options: dict[str, int | bool], published: int) -> None:
    assert parameters(**options) == published


def test_only_the_first_blocks_of_res4_look_at_neighbours_in_time() -> None:
    with META:
        network = SlowFastResNet(depth=101, slow_res4_blocks=6, fast_res4_blocks=23)
    slow, fast = (
        [block.conv1.kernel_size[0] for block in stages[2]] for stages in (network.slow_stages, network.fast_stages)
    )
    assert slow == [3] * 6 + [1] * 17
    assert fast == [3] * 23
    assert [block.conv1.kernel_size[0] for block in network.slow_stages[3]] == [3] * 3


def test_a_lateral_without_norm_passes_on_what_is_below_zero() -> None:
    torch.manual_seed(0)
    network = SlowFastResNet(depth=18, width=8, lateral_norm=False)
    out = network.laterals[0](torch.randn(1, 1, 8, 4, 4))
    assert out.shape == (1, 2, 1, 4, 4)
    assert out.min() < 0


def test_both_pathways_have_the_same_positions() -> None:
    network = SlowFastResNet(depth=18, width=8, head_pool=2).eval()
    slow, fast = torch.randn(2, 3, 1, 96, 96), torch.randn(2, 3, 8, 96, 96)
    with torch.inference_mode():
        positions = network.positions(slow, fast)
        assert positions.shape == (2, 4, 64 + 8)
        assert torch.allclose(network(slow, fast), positions.mean(dim=1))


@pytest.mark.parametrize(("option", "value"), [("slow_res4_blocks", 7), ("fast_res4_blocks", -1), ("head_pool", -1)])
def test_options_out_of_range_are_refused(option: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"^{option}: got {value}"):
        SlowFastResNet(depth=50, **{option: value})
