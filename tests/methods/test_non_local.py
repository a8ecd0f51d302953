import pytest
import torch

from engine.preflight import count_gflops, count_parameters
from methods.non_local import NonLocal
from methods.tsm import TSM
from networks import IMAGE_NETWORKS
from networks.pretrained import load_image_weights
from tests.deterministic_weights import fill
from tests.methods.official_logits import TOLERANCE, difference_from_official


def tsm(backbone: str, **options: bool | int) -> TSM:
    return TSM(IMAGE_NETWORKS[backbone](), num_class=400, non_local=True, **options)


def test_non_local_blocks_give_the_logits_of_tsms_code() -> None:
    assert difference_from_official("non_local", non_local=True) <= TOLERANCE


@pytest.mark.parametrize(
    ("backbone", "places"), [("resnet50", [[], [0, 2], [0, 2, 4], []]), ("resnet18", [[], [0], [0], []])]
)
def test_they_follow_the_published_blocks(backbone: str, places: list[list[int]]) -> None:
    with torch.device("meta"):
        stages = tsm(backbone).backbone.residual_blocks()
    assert [[i for i, b in enumerate(s) if isinstance(b.non_local, NonLocal)] for s in stages] == places


def test_tsm_r50_nl_has_the_published_size_and_cost() -> None:
    """31.68 M parameters and 61.3 GFLOPs by MMAction2, whose counter adds normalisation and activation to ours."""
    with torch.device("meta"):
        method = tsm("resnet50").eval()
        gflops = count_gflops(method, torch.empty(1, 8, 3, 224, 224))
    assert count_parameters(method) == 31_686_096
    assert gflops == pytest.approx(61.10, abs=0.01)


def test_a_block_is_the_softmax_over_all_places_and_times() -> None:
    block = fill(NonLocal(4, num_segments=2))
    x = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    clip = x.transpose(0, 1)[None]  # 1 C T H W
    theta = block.theta(clip).flatten(2)[0]
    phi, g = (layer(clip).amax(dim=(3, 4))[0] for layer in (block.phi, block.g))  # one place per 2x2
    seen = g @ torch.softmax(theta.T @ phi, dim=1).T
    expected = clip + block.bn(block.out(seen.view(1, 2, 2, 2, 2)))
    assert torch.allclose(block(x), expected[0].transpose(0, 1), atol=1e-6)


def test_a_new_block_is_the_identity() -> None:
    x = torch.randn(4, 6, 4, 4)
    assert torch.equal(NonLocal(6, num_segments=2)(x), x)


def test_imagenet_weights_fill_the_rest_of_the_backbone() -> None:
    source = fill(IMAGE_NETWORKS["resnet18"](width=8)).state_dict()
    method = TSM(IMAGE_NETWORKS["resnet18"](width=8), num_class=3, non_local=True)
    before = {key: value.clone() for key, value in method.backbone.state_dict().items() if "non_local" in key}
    load_image_weights(method.backbone, source, origin="made here")
    filled = method.backbone.state_dict()
    assert len(before) == 2 * 13
    assert all(torch.equal(filled[key], value) for key, value in {**source, **before}.items())


def test_partial_bn_lets_their_batch_norms_learn() -> None:
    method = TSM(IMAGE_NETWORKS["resnet18"](width=8), num_class=3, non_local=True, partial_bn=True).train()
    block = method.backbone.layer2[0]
    assert (block.bn1.training, block.bn1.weight.requires_grad) == (False, False)
    assert (block.non_local.bn.training, block.non_local.bn.weight.requires_grad) == (True, True)


def test_mobilenet_has_no_place_for_them() -> None:
    with pytest.raises(ValueError, match=r"^non_local: got a backbone whose blocks have no place for it"):
        tsm("mobilenetv2")
