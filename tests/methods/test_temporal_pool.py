import pytest
import torch

from methods.temporal_pool import TemporalPool
from methods.tsm import TSM
from networks import IMAGE_NETWORKS
from tests.methods.official_logits import TOLERANCE, difference_from_official


def test_pooled_segments_give_the_logits_of_tsms_code() -> None:
    assert difference_from_official("temporal_pool", temporal_pool=True) <= TOLERANCE


@pytest.mark.slow
def test_pooling_and_block_shifts_together_give_the_logits_of_tsms_code() -> None:
    case = "temporal_pool and shift_place block"
    assert difference_from_official(case, temporal_pool=True, shift_place="block") <= TOLERANCE


def test_every_second_segment_keeps_the_largest_of_its_neighbours() -> None:
    x = torch.tensor([1.0, 5, 2, 3, 9, 0, 4, 7, -1, -2, -3, -4]).view(12, 1, 1, 1)
    pooled = TemporalPool(num_segments=6)(x).flatten().tolist()
    assert pooled == [5, 5, 9, 7, 7, -2]


def test_segments_are_halved_from_the_second_stage_on() -> None:
    method = TSM(IMAGE_NETWORKS["resnet18"](width=8), num_class=3, num_segments=8, temporal_pool=True)
    sizes = {}
    for name in ("layer1", "layer2", "layer4"):
        stage = method.backbone.get_submodule(name)
        stage.register_forward_hook(lambda _, __, out, name=name: sizes.__setitem__(name, len(out)))
    assert method(torch.randn(2, 8, 3, 32, 32)).shape == (2, 3)
    assert sizes == {"layer1": 16, "layer2": 8, "layer4": 8}
    shifts = [block.before_first_conv.num_segments for stage in method.backbone.stages for block in stage]
    assert shifts == [8, 8, 4, 4, 4, 4, 4, 4]


@pytest.mark.parametrize("options", [{"num_segments": 5}, {"num_segments": 4, "consensus": "trn"}])
def test_what_pooling_does_not_go_with_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=r"^temporal_pool: got True, needs an even num_segments"):
        TSM(IMAGE_NETWORKS["resnet18"](width=8), num_class=3, temporal_pool=True, **options)
