"""SlowFast: which frames go where."""

import pytest
import torch

from methods.slowfast import SlowFast
from networks.slowfast_resnet import SlowFastResNet


def small(*, alpha: int = 8, width: int = 8, **options: object) -> SlowFast:
    torch.manual_seed(0)
    return SlowFast(SlowFastResNet(depth=18, width=width, alpha=alpha), num_class=5, alpha=alpha, **options)


@pytest.mark.parametrize(
    ("slow_frames", "num_frames", "alpha", "indices"),
    [("linspace", 32, 8, [0, 10, 20, 31]), ("linspace", 32, 4, [0, 4, 8, 13, 17, 22, 26, 31]),
     ("linspace", 8, 4, [0, 7]), ("linspace", 8, 8, [0]), ("linspace", 4, 1, [0, 1, 2, 3]),
     ("linspace", 64, 8, [0, 9, 18, 27, 36, 45, 54, 63]),
     ("linspace", 64, 4, [0, 4, 8, 12, 16, 21, 25, 29, 33, 37, 42, 46, 50, 54, 58, 63]),
     ("strided", 32, 8, [0, 8, 16, 24]), ("strided", 8, 4, [0, 4])],
)  # fmt: skip
def test_which_frames_the_slow_pathway_sees(slow_frames: str, num_frames: int, alpha: int, indices: list[int]) -> None:
    method = small(alpha=alpha, num_frames=num_frames, slow_frames=slow_frames)
    assert method.slow_indices(num_frames).tolist() == indices


@pytest.mark.parametrize("slow_frames", ["linspace", "strided"])
def test_logits_are_those_of_the_two_pathways_by_hand(slow_frames: str) -> None:
    method = small(num_frames=16, slow_frames=slow_frames).eval()
    clips = torch.randn(2, 16, 3, 32, 32)
    slow = clips[:, [0, 15] if slow_frames == "linspace" else [0, 8]]
    with torch.no_grad():
        features = method.backbone(slow.transpose(1, 2), clips.transpose(1, 2))
        torch.testing.assert_close(method(clips), method.classifier(features))


def test_frames_that_the_slow_pathway_skips_reach_the_logits_through_the_fast_one() -> None:
    method = small(num_frames=16).eval()
    torch.nn.init.normal_(method.classifier.weight)
    clips = torch.randn(1, 16, 3, 32, 32)
    other = clips.clone()
    other[:, 7] += 1
    with torch.no_grad():
        assert (method(clips) - method(other)).abs().max() > 1e-5


@pytest.mark.parametrize("alpha", [0, -8, 5, 64])
def test_frames_that_alpha_does_not_divide_are_refused(alpha: int) -> None:
    with pytest.raises(ValueError, match=f"alpha: got {alpha}, needs a divisor of num_frames 32"):
        SlowFast(SlowFastResNet(depth=18, width=8), num_class=5, alpha=alpha)


def test_an_unknown_rule_for_slow_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="slow_frames: got 'nearest', needs one of linspace, strided"):
        small(slow_frames="nearest")


@pytest.mark.parametrize(("beta", "fast_features"), [(8, 8), (4, 16), (2, 32)])
def test_beta_divides_the_fast_pathways_channels(beta: int, fast_features: int) -> None:
    backbone = SlowFastResNet(depth=18, width=8, beta=beta)
    assert backbone.feature_dim == 64 + fast_features
    assert SlowFast(backbone, num_class=5).eval()(torch.randn(1, 32, 3, 32, 32)).shape == (1, 5)


def test_the_classifier_and_the_dropout() -> None:
    """N(0, 0.01), bias 0 (section 8)."""
    torch.manual_seed(0)
    method = SlowFast(SlowFastResNet(depth=18), num_class=400)
    assert method.classifier.weight.shape == (400, 512 + 64)
    assert method.classifier.weight.std().item() == pytest.approx(0.01, rel=0.02)
    assert torch.count_nonzero(method.classifier.bias) == 0
    assert method.dropout.p == 0.5


def test_what_the_engine_asks_a_method() -> None:
    method = small(num_frames=16, stride=4)
    assert (method.sampling, method.train_crop, method.dense_protocol) == ("clip", "scale_jitter", "slowfast-10x3")
    assert (method.frames_per_segment, method.frames_per_view, method.stride) == (1, 16, 4)
    assert (method.mean, method.std) == ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))


def test_channels_last_clips_stay_so() -> None:
    """Frames that lie as T H W C in memory reach the first convolution as channels-last, without a copy."""
    clips = torch.zeros(1, 32, 8, 8, 3).permute(0, 1, 4, 2, 3)
    fast = clips.transpose(1, 2)
    assert fast.is_contiguous(memory_format=torch.channels_last_3d)
    assert small().pathways(clips)[1].data_ptr() == clips.data_ptr()
