"""TSM: which blocks are shifted, and that the identity is not."""

import pytest
import torch

from methods.temporal_shift import TemporalShift
from methods.tsm import TSM
from methods.tsn import TSN
from networks import IMAGE_NETWORKS
from networks.mobilenet import MobileNetV2
from networks.resnet import ResNet


def shifts_of(method: TSM) -> dict[str, TemporalShift]:
    return {name: module for name, module in method.named_modules() if isinstance(module, TemporalShift)}


@pytest.mark.parametrize(
    ("backbone", "count"),
    [("resnet18", 8), ("resnet34", 16), ("resnet50", 16), ("resnet101", 18), ("resnet152", 26), ("mobilenetv2", 10)],
)
def test_number_of_shifts(backbone: str, count: int) -> None:
    """Section 4: from 23 blocks in layer3 on, every second block only."""
    with torch.device("meta"):
        method = TSM(IMAGE_NETWORKS[backbone](), num_class=3)
    assert len(shifts_of(method)) == count


@pytest.mark.parametrize(
    ("backbone", "by_stage"),
    [("resnet50", [(0, 1, 2), (0, 1, 2, 3), (0, 1, 2, 3, 4, 5), (0, 1, 2)]),
     ("resnet101", [(0, 2), (0, 2), tuple(range(0, 23, 2)), (0, 2)]),
     ("resnet152", [(0, 2), (0, 2, 4, 6), tuple(range(0, 36, 2)), (0, 2)])],
)  # fmt: skip
def test_which_blocks_of_a_resnet(backbone: str, by_stage: list[tuple[int, ...]]) -> None:
    with torch.device("meta"):
        method = TSM(IMAGE_NETWORKS[backbone](), num_class=3)
    wanted = [f"backbone.layer{stage}.{block}.before_first_conv" for stage, blocks in enumerate(by_stage, start=1)
              for block in blocks]  # fmt: skip
    assert list(shifts_of(method)) == wanted


def test_which_blocks_of_mobilenet() -> None:
    """Those that expand and keep the shape: all but the first of each stage of 2, 3, 4, 3 and 3 blocks."""
    with torch.device("meta"):
        method = TSM(MobileNetV2(), num_class=3)
    assert [int(name.split(".")[2]) for name in shifts_of(method)] == [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]


def test_parameters_have_the_names_that_they_have_in_tsn() -> None:
    """A TSN's checkpoint starts a TSM, and the other way round."""
    tsn, tsm = (each(ResNet(depth=18, width=8), num_class=3) for each in (TSN, TSM))
    assert list(tsn.state_dict()) == list(tsm.state_dict())


def test_one_frame_repeated_differs_from_tsn_at_the_ends_only_by_zeros() -> None:
    """In the inner segments of a still clip a shift changes nothing; the zeros at its ends do."""
    block = TSM(ResNet(depth=18, width=8), num_class=3, num_segments=3).eval().backbone.layer1[0]
    plain = ResNet(depth=18, width=8).eval().layer1[0]
    plain.load_state_dict(block.state_dict())
    still = torch.rand(1, 8, 6, 6).expand(3, -1, -1, -1)
    with torch.no_grad():
        out, expected = block(still), plain(still)
    torch.testing.assert_close(out[1], expected[1])
    assert (out[0] - expected[0]).abs().max() > 1e-3
    assert (out[2] - expected[2]).abs().max() > 1e-3


@pytest.mark.parametrize("depth", [18, 50])
def test_the_identity_is_not_shifted(depth: int) -> None:
    """With the branch's last norm at 0 a block gives the ReLU of its own input, shifts or not."""
    block = TSM(ResNet(depth=depth, width=8), num_class=3, num_segments=3).eval().backbone.layer1[1]
    torch.nn.init.zeros_((block.bn2 if depth == 18 else block.bn3).weight)
    x = torch.randn(3, 8 if depth == 18 else 32, 6, 6)
    expected = x.relu()
    with torch.no_grad():
        assert torch.equal(block(x), expected)


def test_a_change_reaches_neighbouring_segments_and_no_other_clip() -> None:
    torch.manual_seed(0)
    block = TSM(ResNet(depth=18, width=8), num_class=3, num_segments=5).eval().backbone.layer1[0]
    x = torch.randn(10, 8, 6, 6)
    changed = x.clone()
    changed[4] += 1  # the first clip's last segment; 5 is the second clip's first
    with torch.no_grad():
        reached = (block(x) != block(changed)).flatten(1).any(1)
    assert reached.nonzero().flatten().tolist() == [3, 4]


def test_order_matters_to_tsm_and_not_to_tsn() -> None:
    torch.manual_seed(0)
    tsn, tsm = (each(ResNet(depth=18, width=8), num_class=3, num_segments=4).eval() for each in (TSN, TSM))
    clip = torch.randn(1, 4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(tsn(clip), tsn(clip.flip(1)), rtol=1e-5, atol=1e-7)
        assert (tsm(clip) - tsm(clip.flip(1))).abs().max() > 1e-6


def test_shift_div_is_taken_and_segments_follow_the_clip() -> None:
    method = TSM(ResNet(depth=18, width=8), num_class=3, num_segments=8, shift_div=4).eval()
    assert {shift.shift_div for shift in shifts_of(method).values()} == {4}
    with torch.no_grad():
        for segments in (8, 3, 1):
            assert method(torch.randn(2, segments, 3, 32, 32)).shape == (2, 3)
            assert {shift.num_segments for shift in shifts_of(method).values()} == {segments}


@pytest.mark.parametrize(
    ("width", "shift_div", "message"),
    [(8, 1, "shift_div: got 1, needs at least 2"), (8, 9, "shift_div: got 9, needs at most 8"),
     (4, 8, "shift_div: got 8, needs at most 4")],
)  # fmt: skip
def test_a_shift_of_everything_or_nothing_is_refused(width: int, shift_div: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TSM(ResNet(depth=18, width=width), num_class=3, shift_div=shift_div)


def test_a_mobilenet_without_expansion_has_nothing_to_shift() -> None:
    with pytest.raises(ValueError, match="t: MobileNetV2 has no block that expands"):
        TSM(MobileNetV2(t=1), num_class=3)


def test_dense_protocol_is_tsms() -> None:
    assert TSM(ResNet(depth=18, width=8), num_class=3).dense_protocol == "tsm-dense-10x3"


@pytest.mark.cuda
@pytest.mark.parametrize("backbone", ["resnet50", "mobilenetv2"])
def test_bf16_on_the_gpu_is_close_to_fp32_on_the_cpu(backbone: str) -> None:
    torch.manual_seed(0)
    method = TSM(IMAGE_NETWORKS[backbone](), num_class=10)
    torch.nn.init.normal_(method.classifier.weight, std=0.1)
    clips = torch.randn(2, 8, 3, 64, 64)
    with torch.no_grad():
        method.train()(clips)  # running statistics of this kind of clip
        expected = method.eval()(clips)
        method.to("cuda", memory_format=torch.channels_last)
        with torch.autocast("cuda", dtype=torch.bfloat16):
            logits = method(clips.cuda())
    assert logits.dtype == torch.bfloat16
    difference = (logits.float().cpu() - expected).norm() / expected.norm()
    assert difference < 0.05, f"relative difference {difference:.1e}"
