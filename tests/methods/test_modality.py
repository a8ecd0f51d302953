"""What the first convolution sees of colours, flow and differences."""

import pytest
import torch

from methods.build import build_method
from methods.modality import MODALITIES, stack_segments
from methods.tsm import TSM
from methods.tsn import TSN
from networks.mobilenet import MobileNetV2
from networks.pretrained import load_image_weights
from networks.resnet import ResNet
from tests.methods.small_models import model_config


def numbered(frames: int, channels: int, *, clips: int = 1) -> torch.Tensor:
    """Clips of one pixel; channel c of frame f of clip b is 1000 b + 10 f + c."""
    b, f, c = torch.meshgrid(torch.arange(clips), torch.arange(frames), torch.arange(channels), indexing="ij")
    return (1000 * b + 10 * f + c).float()[..., None, None]


def stacked(frames: int, channels: int, modality: str, *, clips: int = 1) -> list[list[float]]:
    return stack_segments(numbered(frames, channels, clips=clips), modality).flatten(1).tolist()


def test_colours_pass_frame_by_frame() -> None:
    assert stacked(2, 3, "RGB", clips=2) == [[0, 1, 2], [10, 11, 12], [1000, 1001, 1002], [1010, 1011, 1012]]


def test_flow_is_five_pairs_x_y_in_order() -> None:
    assert stacked(10, 2, "Flow") == [
        [0, 1, 10, 11, 20, 21, 30, 31, 40, 41],
        [50, 51, 60, 61, 70, 71, 80, 81, 90, 91],
    ]
    assert stacked(5, 2, "Flow", clips=2)[1][:2] == [1000, 1001]


def test_differences_are_five_of_six_frames_and_none_across_segments() -> None:
    clip = torch.zeros(1, 12, 3, 1, 1)
    for frame, red in enumerate([0, 1, 3, 6, 10, 15, 100, 100, 100, 100, 100, 107]):
        clip[0, frame, 0] = red
    first, second = stack_segments(clip, "RGBDiff").flatten(1).tolist()
    assert first == [1, 0, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0, 5, 0, 0]
    assert second == [0] * 12 + [7, 0, 0]


@pytest.mark.parametrize(("modality", "frames", "channels"), [("Flow", 6, 2), ("RGBDiff", 5, 3)])
def test_half_a_segment_is_refused(modality: str, frames: int, channels: int) -> None:
    with pytest.raises(AssertionError, match=f"{frames} frames of {modality}, needs a multiple of"):
        stack_segments(torch.zeros(1, frames, channels, 2, 2), modality)


@pytest.mark.parametrize(
    ("modality", "frames_per_segment", "mean", "std"),
    [("RGB", 1, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ("Flow", 5, (0.5, 0.5), (0.226, 0.226)),
     ("RGBDiff", 6, (0, 0, 0), (1, 1, 1))],
)  # fmt: skip
def test_a_method_says_how_many_frames_and_which_scale(
    modality: str, frames_per_segment: int, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    method = build_method(model_config(modality=modality))
    assert (method.frames_per_segment, method.frames_per_view) == (frames_per_segment, 3 * frames_per_segment)
    assert (method.mean, method.std) == (mean, std)
    assert len(method.mean) == MODALITIES[modality].channels


@pytest.mark.parametrize("method_type", ["tsn", "tsm"])
@pytest.mark.parametrize(("modality", "frames", "channels", "inputs"), [("Flow", 15, 2, 10), ("RGBDiff", 18, 3, 15)])
def test_the_first_convolution_fits_and_clips_give_logits(
    method_type: str, modality: str, frames: int, channels: int, inputs: int
) -> None:
    method = build_method(model_config(type=method_type, modality=modality)).eval()
    assert method.backbone.first_conv.in_channels == inputs
    clips = torch.randn(2, frames, channels, 32, 32)
    with torch.no_grad():
        assert method(clips).shape == (2, 3)
        assert method(clips[:, : frames // 3]).shape == (2, 3), "one segment"


@pytest.mark.parametrize("network", [ResNet, MobileNetV2])
def test_flow_starts_from_the_mean_of_the_colours(network: type) -> None:
    """A flow that is the same in all ten channels is seen as a grey picture 10 / 3 times as strong."""
    depth = {"depth": 18} if network is ResNet else {}
    torch.manual_seed(0)
    colours, flow = network(**depth), network(in_channels=10, **depth)
    load_image_weights(flow, colours.state_dict(), origin="file")
    grey = torch.randn(2, 1, 16, 16)
    with torch.no_grad():
        expected = colours.first_conv(grey.expand(-1, 3, -1, -1)) * 10 / 3
        torch.testing.assert_close(flow.first_conv(grey.expand(-1, 10, -1, -1)), expected, rtol=1e-4, atol=1e-5)


def test_shifts_count_segments_not_frames() -> None:
    """Two segments of five flow pairs: the shift moves between two, so that a change in one reaches the other."""
    torch.manual_seed(0)
    tsn, tsm = (each(ResNet(depth=18, width=8, in_channels=10), num_class=3, num_segments=2, modality="Flow").eval()
                for each in (TSN, TSM))  # fmt: skip
    tsm.load_state_dict(tsn.state_dict())
    clip = torch.randn(1, 10, 2, 32, 32)
    with torch.no_grad():
        reversed_segments = clip.unflatten(1, (2, 5)).flip(1).flatten(1, 2)
        torch.testing.assert_close(tsn(clip), tsn(reversed_segments))
        assert (tsm(clip) - tsm(reversed_segments)).abs().max() > 1e-6
