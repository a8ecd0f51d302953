"""TSN: segments scored one by one, logits averaged."""

import pytest
import torch

from methods.tsn import TSN
from networks.image_network import ImageNetwork
from networks.mobilenet import MobileNetV2
from networks.resnet import ResNet


def small_tsn(**options: object) -> TSN:
    torch.manual_seed(0)
    return TSN(ResNet(depth=18, width=8), num_class=5, **options)


def test_logits_are_the_mean_over_segments() -> None:
    method = small_tsn(num_segments=3).eval()
    clips = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        logits = method(clips)
        frames = torch.stack([method.classifier(method.backbone(clips[:, index])) for index in range(3)])
    torch.testing.assert_close(logits, frames.mean(dim=0), rtol=1e-5, atol=1e-7)


class MeanColour(ImageNetwork):
    """The mean of each colour."""

    feature_dim = 3

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3))


def test_logits_are_averaged_not_probabilities() -> None:
    """Logits (5, 0, 0) and (0, 3, 0) give (2.5, 1.5, 0)."""
    method = TSN(MeanColour(), num_class=3).eval()
    with torch.no_grad():
        method.classifier.weight.copy_(torch.eye(3))
    clips = torch.zeros(1, 2, 3, 4, 4)
    clips[0, 0, 0], clips[0, 1, 1] = 5, 3
    with torch.no_grad():
        assert method(clips).tolist() == [[2.5, 1.5, 0]]


def test_any_number_of_segments_in_evaluation() -> None:
    method = small_tsn(num_segments=3).eval()
    frame = torch.randn(1, 1, 3, 32, 32)
    with torch.no_grad():
        alone, many = method(frame), method(frame.expand(-1, 25, -1, -1, -1))
    assert alone.shape == (1, 5)
    torch.testing.assert_close(alone, many, rtol=1e-5, atol=1e-7)


def test_clips_of_a_batch_do_not_mix() -> None:
    method = small_tsn().eval()
    clips = torch.randn(3, 8, 3, 32, 32)
    with torch.no_grad():
        alone = torch.cat([method(clip[None]) for clip in clips])
        torch.testing.assert_close(method(clips), alone, rtol=1e-5, atol=1e-7)


def test_dropout_drops_each_segments_features_in_training_alone() -> None:
    """With 0.8 dropped, survivors are scaled by 5: the mean over many draws stays."""
    method = small_tsn(dropout=0.8)
    features = torch.ones(1000, 64)
    torch.manual_seed(0)
    dropped = method.dropout(features)
    assert set(dropped.unique().tolist()) == {0.0, 5.0}
    assert (dropped == 0).float().mean().item() == pytest.approx(0.8, abs=0.01)
    assert torch.equal(method.eval().dropout(features), features)
    assert small_tsn(dropout=0.0).dropout(features).equal(features)


def test_two_training_passes_differ_by_dropout_and_evaluations_do_not() -> None:
    method = small_tsn(dropout=0.5)
    clips = torch.randn(2, 8, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(method(clips), method(clips))
        method.eval()
        assert torch.equal(method(clips), method(clips))


def test_the_classifier_starts_near_nothing() -> None:
    """N(0, 0.001), bias 0 (section 4)."""
    torch.manual_seed(0)
    classifier = TSN(ResNet(depth=18), num_class=400).classifier
    assert classifier.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert torch.count_nonzero(classifier.bias) == 0
    assert classifier.weight.shape == (400, 512)


def test_what_the_engine_asks_a_method() -> None:
    with torch.device("meta"):
        method = TSN(MobileNetV2(), num_class=7, num_segments=5)
    assert (method.sampling, method.train_crop, method.dense_protocol) == ("segments", "multi_scale", "tsn-25x10")
    assert (method.frames_per_segment, method.frames_per_view) == (1, 5)
    assert (method.mean, method.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert method.classifier.weight.shape == (7, 1280)


def test_the_layout_in_memory_does_not_change_the_logits() -> None:
    method = small_tsn().eval()
    clips = torch.randn(2, 8, 32, 32, 3).permute(0, 1, 4, 2, 3)
    assert clips.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        torch.testing.assert_close(method(clips), method(clips.contiguous()), rtol=1e-4, atol=1e-6)
