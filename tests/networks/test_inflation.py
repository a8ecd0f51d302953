"""2D filters over time: a clip that stands still gives the picture's features."""

import pytest
import torch

from methods import build_method
from networks.inflation import inflate_filter, inflated
from networks.resnet import ResNet
from tests.methods.small_models import model_config


def test_a_filter_is_repeated_and_divided_by_its_length() -> None:
    weight = torch.arange(18.0).reshape(1, 2, 3, 3)
    spread = inflate_filter(weight, torch.Size([1, 2, 5, 3, 3]))
    assert spread.shape == (1, 2, 5, 3, 3)
    assert torch.allclose(spread.sum(dim=2), weight)
    assert torch.allclose(spread[:, :, 0], weight / 5)


def test_channels_from_the_fast_pathway_start_at_zero() -> None:
    spread = inflate_filter(torch.ones(4, 8, 1, 1), torch.Size([4, 10, 1, 1, 1]))
    assert spread.shape == (4, 10, 1, 1, 1)
    assert spread[:, :8].eq(1).all()
    assert spread[:, 8:].eq(0).all()


@pytest.mark.parametrize("method_type", ["slow", "i3d", "c2d"])
def test_a_still_clip_gives_the_pictures_features(method_type: str, tmp_path) -> None:
    picture = ResNet(depth=50, width=8).eval()
    torch.save(picture.state_dict(), tmp_path / "resnet50.pth")
    model = model_config(
        type=method_type, backbone="resnet50", num_frames=32, pretrained=str(tmp_path / "resnet50.pth"),
        kwargs={"width": 8, "head_pool": 0},
    )  # fmt: skip
    method = build_method(model).eval()
    # At the ends of a clip zeros are convolved in: only networks that don't look over time there agree exactly.
    frame = torch.randn(1, 3, 32, 32)
    with torch.inference_mode():
        features = method.backbone(frame.unsqueeze(2).expand(-1, -1, 32, -1, -1))
        expected = picture(frame)
    difference = (features - expected).abs().max() / expected.abs().max()
    assert difference < (1e-5 if method_type == "c2d" else 0.5)


def test_only_3d_resnets_are_inflated() -> None:
    tensors = build_method(model_config()).state_dict()
    assert inflated(tensors, tensors) is None
    x3d = build_method(model_config(type="x3d", backbone="x3d_s", kwargs={})).state_dict()
    assert inflated(x3d, x3d) is None


def test_slowfasts_slow_pathway_takes_a_pictures_weights(tmp_path, caplog) -> None:
    picture = ResNet(depth=50, width=8)
    torch.save(picture.state_dict(), tmp_path / "resnet50.pth")
    caplog.set_level("INFO", "video_analysis")
    model = model_config(type="slowfast", backbone="resnet50", num_frames=32, pretrained=str(tmp_path / "resnet50.pth"))
    method = build_method(model)
    slow = method.backbone.slow_stages[0][0].conv1.weight
    assert torch.equal(slow[:, :8, 0], picture.layer1[0].conv1.weight)
    assert slow[:, 8:].eq(0).all()
    assert "2D filters inflated over time, each frame's share 1/T" in caplog.text
    assert "0 left over" in caplog.text
