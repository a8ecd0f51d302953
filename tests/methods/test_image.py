"""Single frames."""

import pytest
import torch
from torchvision.models import resnet18

from methods.image import Image
from networks.resnet import ResNet


def test_a_frame_is_classified_and_several_are_averaged() -> None:
    torch.manual_seed(0)
    method = Image(ResNet(depth=18, width=8), num_class=5).eval()
    frames = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        single = torch.stack([method(frames[:, index : index + 1]) for index in range(3)])
        torch.testing.assert_close(single[0], method.classifier(method.backbone(frames[:, 0])))
        torch.testing.assert_close(method(frames), single.mean(dim=0), rtol=1e-5, atol=1e-6)


def test_weights_of_torchvisions_network_give_torchvisions_logits() -> None:
    torch.manual_seed(0)
    reference = resnet18(weights=None).eval()
    method = Image(ResNet(depth=18), num_class=1000).eval()
    method.backbone.load_state_dict({key: value for key, value in reference.state_dict().items() if "fc." not in key})
    method.classifier.load_state_dict(reference.fc.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(method(images[:, None]), reference(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_what_the_engine_asks_a_method(dropout: float) -> None:
    method = Image(ResNet(depth=18, width=8), num_class=5, dropout=dropout)
    assert (method.sampling, method.train_crop, method.dense_protocol) == ("image", "random_resized", "image-10crop")
    assert (method.frames_per_segment, method.frames_per_view) == (1, 1)
    assert method.dropout.p == dropout
