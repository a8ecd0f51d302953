import pytest
import torch

from methods import METHODS, kwargs_mistakes
from methods.clip_method import ClipMethod
from methods.single_pathway import I3D, X3D, Slow
from methods.slowfast import SlowFast
from networks.resnet3d import ResNet3d
from networks.slowfast_resnet import SlowFastResNet
from tests.shared_material import REPOSITORY
from utils.config_file import load_config

ONE_PATHWAY = ("slow", "fast", "c2d", "i3d", "r2plus1d", "x3d")


def slow(**options: int | str) -> Slow:
    torch.manual_seed(0)
    network = ResNet3d(depth=18, architecture="slow", width=4, head_pool=options.pop("head_pool", 0))
    return Slow(network, num_class=5, num_frames=4, **options).eval()


@pytest.mark.parametrize("name", ONE_PATHWAY)
def test_a_clip_gives_logits_and_teaches_every_parameter(name: str) -> None:
    """Behind the last norms, which start at 0, nothing would learn in the first step: they are set to 1 here."""
    entry = METHODS[name]
    backbone = entry.networks["x3d_xs" if name == "x3d" else "resnet50"](**({} if name == "x3d" else {"width": 8}))
    method = entry.method(backbone, num_class=5, num_frames=4)
    for module in method.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.ones_(module.weight)
    logits = method(torch.randn(2, 4, 3, 64, 64))
    assert logits.shape == (2, 5)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in method.parameters())


@pytest.mark.parametrize("name", [*ONE_PATHWAY, "slowfast"])
def test_every_method_of_clips_is_sampled_and_normalised_alike(name: str) -> None:
    method = METHODS[name].method
    assert issubclass(method, ClipMethod)
    assert (method.sampling, method.train_crop, method.dense_protocol) == ("clip", "scale_jitter", "slowfast-10x3")
    assert (method.mean, method.std) == ((0.45,) * 3, (0.225,) * 3)


def test_each_paper_is_named() -> None:
    for method in (Slow, I3D, X3D):
        assert "arxiv" in method.__doc__.lower()


def test_probabilities_of_one_position_are_the_softmax_of_the_logits() -> None:
    method, clips = slow(), torch.randn(2, 4, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(method.probabilities(clips), method(clips).double().softmax(dim=1))


def test_probabilities_are_the_mean_over_positions_as_pyslowfast_has_it() -> None:
    """A map of 3x3 under a window of 2x2: four positions, a softmax at each."""
    method, clips = slow(head_pool=2), torch.randn(1, 4, 3, 96, 96)
    torch.nn.init.normal_(method.classifier.weight, std=3.0)
    with torch.inference_mode():
        maps = method.backbone.stages[0](method.backbone.stem(clips.transpose(1, 2)))
        for stage in method.backbone.stages[1:]:
            maps = stage(maps)
        corners = [maps[..., top : top + 2, left : left + 2].mean(dim=(2, 3, 4)) for top in (0, 1) for left in (0, 1)]
        logits = torch.stack([method.classifier(corner) for corner in corners])
        assert torch.allclose(method(clips), logits.mean(dim=0), atol=1e-5)
        expected = logits.double().softmax(dim=2).mean(dim=0)
        assert torch.allclose(method.probabilities(clips), expected, atol=1e-6)
        method.average_positions = "logits"
        assert torch.allclose(method.probabilities(clips), logits.mean(dim=0).double().softmax(dim=1), atol=1e-5)
        assert (method.probabilities(clips) - expected).abs().max() > 1e-4


def test_slowfast_averages_positions_too() -> None:
    torch.manual_seed(0)
    network = SlowFastResNet(depth=18, width=8, head_pool=2)
    method, clips = SlowFast(network, num_class=5, num_frames=8).eval(), torch.randn(1, 8, 3, 96, 96)
    with torch.inference_mode():
        positions = network.positions(*method.pathways(clips))
        assert positions.shape[1] == 4
        assert torch.allclose(method(clips), method.classifier(positions).mean(dim=1), atol=1e-6)
        assert method.probabilities(clips).sum().item() == pytest.approx(1.0)


def test_a_wrong_average_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^average_positions: got 'mean', needs probabilities or logits"):
        slow(average_positions="mean")


@pytest.mark.parametrize(
    ("override", "mistake"),
    [
        ("kwargs.head_pol=0", "head_pool"),
        ("kwargs.stem_stride=0", "needs at least 1"),
        ("kwargs.alpha=8", "no such option"),
        ("kwargs.architecture=slow", "no such option"),
        ("backbone=x3d_s", "needs one of resnet18, resnet50, resnet101"),
        ("modality=Flow", "i3d takes RGB"),
    ],
)
def test_a_mistake_in_the_config_is_named(override: str, mistake: str) -> None:
    recipe = REPOSITORY / "exps/kinetics400/i3d_8x8_r50/config.yaml"
    mistakes = kwargs_mistakes(load_config(recipe, [f"common.model.{override}"]))
    assert any(mistake in f"{each.path} {each.message}" for each in mistakes), mistakes
