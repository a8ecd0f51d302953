import copy
import re
from pathlib import Path

import pytest
import torch

from engine.distributed import World
from engine.sync_bn import synchronise_bn
from methods import build_method, kwargs_mistakes
from methods.parameter_groups import parameter_groups
from methods.temporal_shift import TemporalShift
from methods.tsm import TSM
from methods.tsn import TSN
from networks import IMAGE_NETWORKS
from tests.deterministic_weights import fill, relative_difference, structured_clips
from tests.engine.rank_processes import on_ranks
from tests.experiments import write_experiment
from utils.config_file import load_config
from utils.config_schema import ModelConfig
from utils.errors import UserError


def logits(method: torch.nn.Module, clips: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return method(clips)


@pytest.mark.parametrize(
    ("theirs", "ours", "gain"), [("resnet18", "resnet18", 1), ("mobilenetv2_100", "mobilenetv2", 2)]
)
def test_tsm_of_timms_network_is_our_tsm(theirs: str, ours: str, gain: float) -> None:
    """The same weights, in the same order, under timm's names or ours: the shifts stand at the same places."""
    method = fill(TSM(IMAGE_NETWORKS[ours](), num_class=3, num_segments=4), gain=gain)
    other = TSM(IMAGE_NETWORKS[f"timm/{theirs}"](), num_class=3, num_segments=4).eval()
    weights = method.state_dict().values()
    other.load_state_dict(dict(zip(other.state_dict(), weights, strict=True)))
    clips = structured_clips(clips=2, frames=4, side=64)
    assert relative_difference(logits(other, clips), logits(method, clips)) <= 1e-6
    assert relative_difference(logits(other, clips.flip(1)), logits(method, clips)) > 1e-3


@pytest.mark.parametrize(
    ("name", "shifts"),
    [("resnet50", [3, 4, 6, 3]), ("efficientnet_b0", [1, 1, 2, 2, 3]), ("convnext_atto", [2, 2, 6, 2])],
)
def test_shifts_stand_in_every_branch_that_has_an_identity(name: str, shifts: list[int]) -> None:
    with torch.device("meta"):
        method = TSM(IMAGE_NETWORKS[f"timm/{name}"](), num_class=3)
    stages = method.backbone.residual_blocks()
    assert [sum(isinstance(block.before_first_conv, TemporalShift) for block in stage) for stage in stages] == shifts


def test_a_copy_shifts_by_itself() -> None:
    """The average of weights is kept in a copy: its shifts must not be the original's."""
    method = fill(TSM(IMAGE_NETWORKS["timm/resnet18"](), num_class=3, num_segments=4))
    clips = structured_clips(clips=1, frames=4, side=32)
    twin = copy.deepcopy(method)
    wanted = logits(twin, clips)
    logits(method, clips[:, :2])
    method.backbone.residual_blocks()[0][0].before_first_conv = torch.nn.Identity()
    assert torch.equal(logits(twin, clips), wanted)


@pytest.mark.parametrize(
    ("name", "side"),
    [("vit_tiny_patch16_224", 224), ("mobilenetv3_small_050", 64), ("convnext_atto", 64), ("ghostnet_050", 64)],
)
def test_any_network_makes_a_tsn(name: str, side: int) -> None:
    method = TSN(IMAGE_NETWORKS[f"timm/{name}"](), num_class=3, num_segments=2).eval()
    assert logits(method, torch.zeros(1, 2, 3, side, side)).shape == (1, 3)


def test_the_colours_are_those_of_the_published_weights() -> None:
    with torch.device("meta"):
        method = TSN(IMAGE_NETWORKS["timm/vit_tiny_patch16_224"](), num_class=3)
        flow = TSN(IMAGE_NETWORKS["timm/resnet18"](in_channels=10), num_class=3, modality="Flow")
    assert (method.mean, method.std) == ((0.5,) * 3, (0.5,) * 3)
    assert (flow.mean, flow.backbone.first_conv.in_channels) == ((0.5, 0.5), 10)


def test_a_vit_has_no_place_for_a_shift() -> None:
    with (
        torch.device("meta"),
        pytest.raises(ValueError, match=r"^backbone: got timm/vit_tiny_patch16_224, whose blocks"),
    ):
        TSM(IMAGE_NETWORKS["timm/vit_tiny_patch16_224"](), num_class=3)


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("timm/resnet51", r"got 'timm/resnet51', needs the name of a timm model .*Did you mean timm/resnet\d+"),
        ("timm/resnet50.a1_in2k", r"Did you mean timm/resnet50\.a1_in1k or "),
        ("timm/vit_tiny_patch16_224", "which sees 224 pixels only, needs augmentation.input_size to be that"),
        ("tim/resnet50", "got 'tim/resnet50', needs one of resnet18, "),
    ],
)
def test_a_name_that_does_not_fit_is_one_clear_line(tmp_path: Path, backbone: str, message: str) -> None:
    config = load_config(write_experiment(tmp_path, model={"type": "tsn", "backbone": backbone, "kwargs": {}}))
    (mistake,) = kwargs_mistakes(config)
    assert mistake.path == "model.backbone"
    assert re.search(message, mistake.message), mistake.message


def test_a_right_name_passes(tmp_path: Path) -> None:
    model = {"type": "tsm", "backbone": "timm/resnet10t.c3_in1k", "kwargs": {}}
    assert kwargs_mistakes(load_config(write_experiment(tmp_path, model=model))) == []


def model_config(**changes: object) -> ModelConfig:
    return ModelConfig.model_validate({"type": "tsn", "backbone": "timm/resnet18", "num_class": 3, **changes})


def test_without_network_pretrained_weights_end_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="pretrained: no weights for timm/resnet18 in timm's cache") as caught:
        build_method(model_config())
    assert len(caught.value.lines) == 1


def test_a_file_of_timms_own_fills_the_backbone(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    weights = fill(timm.create_model("resnet18")).state_dict()
    torch.save(weights, tmp_path / "resnet18.pth")
    method = build_method(model_config(pretrained=str(tmp_path / "resnet18.pth")))
    ours = method.backbone.model.state_dict()
    assert len(ours) == len(weights) - 2
    assert all(torch.equal(value, weights[key]) for key, value in ours.items())


def before_and_after_conversion(world: World) -> list[torch.Tensor]:
    method = fill(TSN(IMAGE_NETWORKS["timm/mobilenetv2_035"](), num_class=3), gain=2)
    clips, keys = structured_clips(clips=1, frames=2, side=32), list(method.state_dict())
    before = logits(method, clips)
    synchronise_bn(method, world=world, bn_group_size=world.size)
    assert list(method.state_dict()) == keys, "conversion changed the keys"
    return [before, logits(method, clips)]


@pytest.mark.slow
def test_shared_batch_norms_keep_the_activations_that_timms_hold(tmp_path: Path) -> None:
    for before, after in on_ranks(before_and_after_conversion, tmp_path):
        assert relative_difference(after, before) <= 1e-6


def test_no_wd_spares_layer_norms() -> None:
    with torch.device("meta"):
        method = TSN(IMAGE_NETWORKS["timm/convnext_atto"](), num_class=3)
    groups = {g["name"]: g for g in parameter_groups(method, policy="plain", no_wd=True, weight_decay=0.1)}
    decayed = {id(each) for each in groups["rate x 1, decay x 1"]["params"]}
    norms = [module for module in method.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert len(norms) == 17
    assert not any(id(norm.weight) in decayed for norm in norms)
    assert id(method.classifier.weight) in decayed
