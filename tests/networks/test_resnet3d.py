import re

import pytest
import torch
from torch import nn

from networks import VIDEO_NETWORKS
from networks.block3d import pool_positions
from networks.resnet import ResNet
from networks.resnet3d import R2Plus1DResNet, ResNet3d

META = torch.device("meta")


def small(architecture: str, **options: int) -> ResNet3d:
    return ResNet3d(depth=18, architecture=architecture, width=4, **options)


def time_sizes(network: nn.Module, frames: int) -> list[int]:
    """Frames that are left behind the stem and each stage."""
    sizes: list[int] = []
    for module in (network.stem, *network.stages):
        module.register_forward_hook(lambda _module, _inputs, out: sizes.append(out.shape[2]))
    network(torch.zeros(1, 3, frames, 32, 32))
    return sizes


@pytest.mark.parametrize(
    ("method", "backbone", "parameters"),
    [
        ("slow", "resnet50", 32_454_096),  # PyTorchVideo: 32.45 M
        ("slow", "resnet101", 60_359_120),
        ("c2d", "resnet50", 24_327_632),  # as the 2D ResNet-50
        ("i3d", "resnet50", 28_043_472),  # the fixture of mmaction2
        ("i3d", "resnet101", 51_754_192),
        ("r2plus1d", "resnet50", 28_107_600),  # PyTorchVideo: 28.11 M
        ("fast", "resnet50", 616_952),
    ],
)
def test_parameters_with_a_classifier_of_400(method: str, backbone: str, parameters: int) -> None:
    with META:
        network = VIDEO_NETWORKS[method][backbone]()
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count + 400 * network.feature_dim + 400 == parameters


@pytest.mark.parametrize(
    ("architecture", "kernels"),
    [
        ("slow", [[1] * 3, [1] * 4, [3] * 6, [3] * 3]),
        ("fast", [[3] * 3, [3] * 4, [3] * 6, [3] * 3]),
        ("c2d", [[1] * 3, [1] * 4, [1] * 6, [1] * 3]),
        ("i3d", [[3] * 3, [3, 1, 3, 1], [3, 1, 3, 1, 3, 1], [1, 3, 1]]),
    ],
)
def test_which_blocks_look_at_neighbours_in_time(architecture: str, kernels: list[list[int]]) -> None:
    with META:
        network = ResNet3d(depth=50, architecture=architecture)
    assert [[block.conv1.kernel_size[0] for block in stage] for stage in network.stages] == kernels
    assert network.stem[0].kernel_size[0] == {"fast": 5, "i3d": 5}.get(architecture, 1)


def as_3d(key: str) -> str:
    """The image network's name of a tensor -> the video network's."""
    if match := re.match(r"layer(\d)\.(.*)", key):
        return f"stages.{int(match[1]) - 1}.{match[2]}"
    return key.replace("conv1.", "stem.0.").replace("bn1.", "stem.1.")


def test_a_c2d_sees_each_frame_as_the_image_network_does() -> None:
    """Without its pooling over time, a C2D is a 2D ResNet whose features are averaged over the frames."""
    torch.manual_seed(0)
    flat, network = (
        ResNet(depth=50, width=8).eval(),
        ResNet3d(depth=50, architecture="c2d", width=8, head_pool=0).eval(),
    )
    weights = {as_3d(key): value for key, value in flat.state_dict().items()}
    network.load_state_dict({key: value.unsqueeze(2) if value.ndim == 4 else value for key, value in weights.items()})
    frames = torch.randn(2, 3, 4, 64, 64)
    with torch.inference_mode():
        expected = flat(frames.transpose(1, 2).flatten(0, 1)).unflatten(0, (2, 4)).mean(dim=1)
        assert torch.allclose(network(frames), expected, atol=1e-5)


def test_time_is_pooled_where_the_options_say() -> None:
    assert time_sizes(small("slow"), 8) == [8, 8, 8, 8, 8]
    assert time_sizes(small("c2d", pool2_stride=2), 8) == [8, 8, 4, 4, 4]
    assert time_sizes(small("i3d", stem_stride=2, pool1_stride=2, pool2_stride=2), 32) == [8, 8, 4, 4, 4]
    assert time_sizes(R2Plus1DResNet(depth=50, width=4), 16) == [16, 16, 16, 8, 4]


def test_published_networks_pool_time_after_res2_by_two() -> None:
    with META:
        pooled = {name: VIDEO_NETWORKS[name]["resnet18"]().pool2.kernel_size for name in ("slow", "fast", "c2d", "i3d")}
    assert pooled == {"slow": (1, 1, 1), "fast": (1, 1, 1), "c2d": (2, 1, 1), "i3d": (2, 1, 1)}


def test_the_stem_pools_without_padding_where_asked() -> None:
    frames = torch.zeros(1, 3, 1, 112, 112)
    sides = [small("c2d", pool1_padding=padding).stem(frames).shape[-1] for padding in (0, 1)]
    assert sides == [27, 28]


def test_a_window_of_seven_has_two_by_two_positions_on_a_map_of_eight() -> None:
    maps = torch.arange(64.0).reshape(1, 1, 1, 8, 8).expand(1, 2, 3, 8, 8)
    features = pool_positions(maps, 7)
    assert features.shape == (1, 4, 2)
    assert features[0, :, 0].tolist() == [27.0, 28.0, 35.0, 36.0]  # the middles of the four windows
    assert pool_positions(maps, 0).tolist() == [[[31.5, 31.5]]]
    assert torch.equal(pool_positions(maps[..., :5, :5], 7), pool_positions(maps[..., :5, :5], 0))


def test_features_are_the_mean_over_positions() -> None:
    network = small("slow", head_pool=2).eval()
    frames = torch.randn(2, 3, 4, 96, 96)
    with torch.inference_mode():
        positions = network.positions(frames)
        assert positions.shape == (2, 4, 32)
        assert torch.allclose(network(frames), positions.mean(dim=1))


def test_blocks_start_as_the_identity() -> None:
    network = VIDEO_NETWORKS["i3d"]["resnet50"](width=8)
    assert all(block.bn3.weight.abs().sum() == 0 for stage in network.stages for block in stage)


@pytest.mark.parametrize(
    ("option", "value", "needs"),
    [
        ("width", 0, "needs at least 1"),
        ("stem_stride", 0, "needs at least 1"),
        ("pool2_stride", 0, "needs at least 1"),
        ("head_pool", -1, "needs at least 0"),
        ("pool1_padding", 2, "needs 0 or 1"),
    ],
)
def test_sizes_out_of_range_are_refused(option: str, value: int, needs: str) -> None:
    with pytest.raises(ValueError, match=f"^{option}: got {value}, {needs}"):
        ResNet3d(depth=18, architecture="slow", **{option: value})
