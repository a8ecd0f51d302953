import pytest
import torch

from methods.temporal_shift import TemporalShift, UnidirectionalShift
from methods.tsm import TSM
from networks import IMAGE_NETWORKS
from tests.methods.official_logits import TOLERANCE, difference_from_official


def small(backbone: str = "resnet50", **options: bool | str) -> TSM:
    return TSM(IMAGE_NETWORKS[backbone](width=16), num_class=3, num_segments=4, **options)


def slots(method: TSM, slot: str) -> list[int]:
    """How many blocks of each stage have a shift there."""
    stages = method.backbone.residual_blocks()
    return [sum(isinstance(getattr(block, slot), TemporalShift) for block in stage) for stage in stages]


def test_block_shifts_give_the_logits_of_tsms_code() -> None:
    assert difference_from_official("shift_place block", shift_place="block") <= TOLERANCE


@pytest.mark.parametrize(
    ("backbone", "blockres", "block"),
    [("resnet50", [3, 4, 6, 3], [3, 4, 6, 3]), ("resnet101", [2, 2, 12, 2], [3, 4, 23, 3])],
)
def test_deep_networks_are_shifted_in_every_second_branch_but_in_every_block(
    backbone: str, blockres: list[int], block: list[int]
) -> None:
    with torch.device("meta"):
        in_branches, in_blocks = small(backbone), small(backbone, shift_place="block")
    assert (slots(in_branches, "before_first_conv"), slots(in_branches, "before_block")) == (blockres, [0] * 4)
    assert (slots(in_blocks, "before_first_conv"), slots(in_blocks, "before_block")) == ([0] * 4, block)


def test_a_block_shift_moves_the_identity_too() -> None:
    """A block whose branch gives 0 passes relu(shift(x)) on, and x itself where only the branch is shifted."""
    x = torch.rand(4, 64, 2, 2)
    for place, moved in (("blockres", False), ("block", True)):
        method = small(shift_place=place).eval()
        block = method.backbone.layer1[1]
        torch.nn.init.zeros_(block.bn3.weight)
        expected = TemporalShift(num_segments=4)(x) if moved else x
        assert torch.equal(block(x), expected)


def test_the_one_way_shift_takes_channels_from_the_segment_before_only() -> None:
    x = torch.arange(1.0, 4).view(3, 1, 1, 1).repeat(1, 8, 1, 1)
    moved = UnidirectionalShift(num_segments=3, shift_div=8)(x)
    assert moved[:, :, 0, 0].tolist() == [[0] + [1] * 7, [1] + [2] * 7, [2] + [3] * 7]


@pytest.mark.parametrize("kind", [TemporalShift, UnidirectionalShift])
def test_the_exported_form_of_a_shift_is_the_same_shift(kind: type[TemporalShift]) -> None:
    shift, x = kind(num_segments=3, shift_div=4), torch.randn(6, 9, 2, 2)
    assert torch.equal(torch.export.export(shift, (x,)).module()(x), shift(x))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift_place": "conv"}, "shift_place: got 'conv', needs one of blockres, block"),
        ({"shift": "both"}, "shift: got 'both', needs one of bidirectional, unidirectional"),
    ],
)
def test_an_unknown_word_is_named_with_the_known_ones(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        small(**options)


def test_mobilenet_has_no_place_in_front_of_a_block() -> None:
    with pytest.raises(
        ValueError, match=r"^shift_place: got a backbone whose blocks have no place for it, needs a resnet"
    ):
        TSM(IMAGE_NETWORKS["mobilenetv2"](), num_class=3, shift_place="block")
