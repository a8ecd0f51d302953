import pytest
import torch
import torchvision
from torch import nn

from engine.preflight import count_gflops
from methods.tsm import TSM
from networks import IMAGE_NETWORKS
from networks.pretrained import FILE_NAMES, load_image_weights

VARIANTS = ("resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "wide_resnet101_2")


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


@pytest.mark.parametrize("name", ["resnext50_32x4d", "wide_resnet50_2"])
def test_features_equal_torchvisions_for_torchvisions_weights(name: str) -> None:
    theirs = torchvision.models.get_model(name, weights=None).eval()
    ours = IMAGE_NETWORKS[name]().eval()
    load_image_weights(ours, theirs.state_dict(), origin="torchvision")
    theirs.fc = nn.Identity()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("name", VARIANTS)
def test_names_shapes_and_files_are_torchvisions(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = torchvision.models.get_model(name, weights=None), IMAGE_NETWORKS[name]()
    shapes = {key: value.shape for key, value in theirs.state_dict().items() if not key.startswith("fc.")}
    assert {key: value.shape for key, value in ours.state_dict().items()} == shapes
    url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
    assert FILE_NAMES[name] == (url.rsplit("/", 1)[-1],)


@pytest.mark.parametrize(
    ("name", "segments", "millions", "gflops"),
    [
        ("resnet50", 8, 24.33, 32.7),  # MMAction2: 24.33 M, 32.88
        ("resnet50", 16, 24.33, 65.4),  # MMAction2: 65.75
        ("resnet101", 8, 43.32, 62.4),
        ("resnext50_32x4d", 8, 23.80, 33.8),
        ("resnext101_32x8d", 8, 87.56, 131.3),
        ("wide_resnet50_2", 8, 67.65, 91.2),
        ("wide_resnet101_2", 8, 125.65, 182.0),
    ],
)
def test_parameters_and_gflops_of_a_tsm(name: str, segments: int, millions: float, gflops: float) -> None:
    """400 classes, views of 224x224; 8 x torchvision's figures per image (4.09, 7.80, 4.23, 16.41, 11.40, 22.75)."""
    with torch.device("meta"):
        method = TSM(IMAGE_NETWORKS[name](), num_class=400, num_segments=segments)
        counted = count_gflops(method, torch.empty(1, segments, 3, 224, 224))
    assert parameters(method) / 1e6 == pytest.approx(millions, abs=0.01)
    assert counted == pytest.approx(gflops, abs=0.1)


def test_a_thin_variant_keeps_a_channel_per_group() -> None:
    assert IMAGE_NETWORKS["resnext50_32x4d"](width=16).layer1[0].conv2.weight.shape == (32, 1, 3, 3)
    with pytest.raises(ValueError, match="width: got 15, needs at least 16"):
        IMAGE_NETWORKS["resnext50_32x4d"](width=15)
