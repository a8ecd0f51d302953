"""Our backbone and torchvision's network with the same weights: how far are their logits apart?"""

from collections.abc import Callable

import torch
from torch import nn

from networks.pretrained import CLASSIFIERS, load_image_weights


def without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """A network whose tensors are whatever lies in memory: all of them have to be loaded."""
    with torch.device("meta"):
        network = build()
    return network.to_empty(device="cpu")


def reference_of(build: Callable[[], nn.Module]) -> nn.Module:
    """torchvision's network with He's weights, drawn once."""
    reference = without_weights(build)
    for module in reference.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
        elif isinstance(module, nn.BatchNorm2d | nn.Linear):
            module.reset_parameters()
    return reference


def backbone_weights(reference: nn.Module) -> dict[str, torch.Tensor]:
    """torchvision's tensors, its classifier aside."""
    return {key: value for key, value in reference.state_dict().items() if not key.startswith(CLASSIFIERS)}


def assert_same_logits(ours: nn.Module, reference: nn.Module, classifier: nn.Module) -> None:
    """Load `reference` into `ours`, strictly; compare logits in both modes, and the statistics that training leaves.

    `classifier` is what `reference` makes of its features. Evaluation comes second: the running statistics are no
    longer 0 and 1 by then.
    """
    load_image_weights(ours, reference.state_dict(), origin="torchvision")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for mode in (True, False):
        reference.train(mode)
        with torch.no_grad():
            expected, logits = reference(images), classifier(ours.train(mode)(images))
        difference = (logits - expected).abs().max() / expected.abs().max()
        assert difference <= 1e-5, f"relative difference {difference:.1e} in training mode {mode}"
    for name, value in backbone_weights(reference).items():
        if "running" in name:
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-5, atol=1e-6, msg=name)


def assert_same_gradients(ours: nn.Module, reference: nn.Module) -> None:
    """`reference` gives features here; of a sum of squares, every parameter's gradient is the same."""
    load_image_weights(ours, reference.state_dict(), origin="torchvision")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for network in (ours, reference):
        network(images).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in ours.named_parameters()}
    expected = {name: parameter.grad for name, parameter in reference.named_parameters()}
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        difference = (gradients[name] - gradient).abs().max() / gradient.abs().max().clamp(min=1e-12)
        assert difference <= 1e-3, f"{name}: relative difference {difference:.1e}"
