"""MobileNetV2 against torchvision's."""

from functools import partial

import pytest
import torch
from torchvision import models

from networks.mobilenet import MobileNetV2
from networks.pretrained import load_image_weights, read_state_dict
from tests.networks.torchvision_pair import (
    assert_same_gradients,
    assert_same_logits,
    backbone_weights,
    reference_of,
    without_weights,
)
from tests.shared_material import SHARED, needs_shared

# torchvision's own table: expansion, channels, blocks, stride
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def torchvisions(*, t: int = 6, width: float = 1.0) -> models.MobileNetV2:
    """torchvision's, without dropout."""
    setting = [[1 if row[0] == 1 else t, *row[1:]] for row in STAGES]
    return models.MobileNetV2(width_mult=width, inverted_residual_setting=setting, dropout=0.0)


@pytest.mark.parametrize(("t", "width"), [(6, 1.0), (3, 1.0), (1, 1.0), (6, 0.35), (6, 0.5), (4, 0.75), (6, 1.4)])
def test_logits_equal_torchvisions(t: int, width: float) -> None:
    torch.manual_seed(0)
    reference = reference_of(partial(torchvisions, t=t, width=width))
    assert_same_logits(without_weights(partial(MobileNetV2, t=t, width=width)), reference, reference.classifier)


def test_names_and_shapes_are_torchvisions() -> None:
    with torch.device("meta"):
        ours, reference = MobileNetV2(), models.mobilenet_v2(weights=None)
    wanted = {key: value.shape for key, value in backbone_weights(reference).items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == wanted
    assert sum(parameter.numel() for parameter in ours.parameters()) == 3_504_872 - 1281 * 1000
    assert ours.feature_dim == 1280


def test_gradients_equal_torchvisions() -> None:
    torch.manual_seed(0)
    reference = reference_of(partial(torchvisions, width=0.5))
    reference.classifier = torch.nn.Identity()
    assert_same_gradients(without_weights(partial(MobileNetV2, width=0.5)), reference)


@pytest.mark.parametrize(
    ("width", "channels", "feature_dim"),
    [(0.1, [8, 8, 8, 8, 16, 16, 32], 1280), (0.5, [8, 16, 16, 32, 48, 80, 160], 1280),
     (1.0, [16, 24, 32, 64, 96, 160, 320], 1280), (1.4, [24, 32, 48, 88, 136, 224, 448], 1792)],
)  # fmt: skip
def test_channels_are_multiples_of_8_near_the_width(width: float, channels: list[int], feature_dim: int) -> None:
    with torch.device("meta"):
        network = MobileNetV2(width=width)
    ends = [index for index, block in enumerate(network.features) if index in (1, 3, 6, 10, 13, 16, 17)]
    assert [network.features[index].conv[-1].num_features for index in ends] == channels
    assert network.feature_dim == feature_dim


def test_t_is_the_expansion_of_all_blocks_but_the_first() -> None:
    with torch.device("meta"):
        blocks = MobileNetV2(t=4).features[1:-1]
    depthwise = [next(m for m in block.modules() if getattr(m, "groups", 1) > 1) for block in blocks]
    assert [conv.out_channels for conv in depthwise[:4]] == [32 * 1, 16 * 4, 24 * 4, 24 * 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"t": 0}, "t: got 0, needs at least 1"), ({"width": 0}, "width: got 0, needs a number above 0"),
     ({"width": float("nan")}, "width: got nan"), ({"width": float("inf")}, "width: got inf")],
)  # fmt: skip
def test_options_out_of_range_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MobileNetV2(**options)


def test_residual_blocks_are_the_ten_that_expand_and_keep_the_shape() -> None:
    with torch.device("meta"):
        stages = MobileNetV2().residual_blocks()
        without_expansion = MobileNetV2(t=1).residual_blocks()
    assert [len(stage) for stage in stages] == [0, 1, 2, 3, 2, 2, 0]
    assert [len(stage) for stage in without_expansion] == [0] * 7


def test_the_slot_is_in_the_residual_branch_alone() -> None:
    block = MobileNetV2().eval().residual_blocks()[1][0]
    block.before_first_conv = torch.nn.Threshold(float("inf"), 0.0)
    x = torch.randn(2, 24, 4, 4)
    kept = x.clone()
    with torch.no_grad():
        assert torch.equal(block(x), kept)
    assert torch.equal(x, kept)


@needs_shared
def test_the_published_imagenet_file_loads_whole() -> None:
    path = SHARED / "weights" / "mobilenet_v2_imagenet.pth"
    weights = read_state_dict(path)
    ours, reference = MobileNetV2().eval(), models.mobilenet_v2(weights=None).eval()
    reference.load_state_dict(weights)
    load_image_weights(ours, weights, origin=path.name)
    for key, value in backbone_weights(reference).items():
        assert torch.equal(ours.state_dict()[key], value), key
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(reference.classifier(ours(images)), reference(images), rtol=1e-4, atol=1e-4)
