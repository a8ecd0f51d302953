"""The shift, value by value."""

import pytest
import torch

from methods.temporal_shift import TemporalShift


def numbered(segments: int, channels: int, *, clips: int = 1) -> torch.Tensor:
    """(clips * segments, channels, 1, 1); channel c of segment t of clip b is 100 b + 10 (t + 1) + c."""
    b, t, c = torch.meshgrid(*(torch.arange(size) for size in (clips, segments, channels)), indexing="ij")
    return (100 * b + 10 * (t + 1) + c).float().flatten(0, 1)[..., None, None]


def shifted(x: torch.Tensor, *, num_segments: int, shift_div: int) -> list[list[float]]:
    return TemporalShift(num_segments=num_segments, shift_div=shift_div)(x).flatten(1).tolist()


def test_three_segments_of_four_channels() -> None:
    """Channel 0 comes from the next segment, channel 1 from the previous one, 2 and 3 stay; zeros at the ends."""
    assert shifted(numbered(3, 4), num_segments=3, shift_div=4) == [
        [20, 0, 12, 13],
        [30, 11, 22, 23],
        [0, 21, 32, 33],
    ]


def test_clips_of_a_batch_do_not_mix() -> None:
    both = shifted(numbered(2, 4, clips=2), num_segments=2, shift_div=4)
    assert both == [[20, 0, 12, 13], [0, 11, 22, 23], [120, 0, 112, 113], [0, 111, 122, 123]]


@pytest.mark.parametrize(("channels", "shift_div", "fold"), [(8, 8, 1), (64, 8, 8), (24, 8, 3), (9, 4, 2), (7, 2, 3)])
def test_how_many_channels_move(channels: int, shift_div: int, fold: int) -> None:
    """The fold is channels // shift_div, each way."""
    x = torch.arange(1.0, 4).view(3, 1, 1, 1).expand(3, channels, 1, 1)
    _, middle, _ = shifted(x, num_segments=3, shift_div=shift_div)
    assert middle == [3] * fold + [1] * fold + [2] * (channels - 2 * fold)


def test_one_segment_sees_zeros_on_both_sides() -> None:
    assert shifted(numbered(1, 4), num_segments=1, shift_div=4) == [[0, 0, 12, 13]]


def test_the_input_is_left_as_it_was() -> None:
    x = numbered(3, 8)
    kept = x.clone()
    TemporalShift(num_segments=3, shift_div=4)(x)
    assert torch.equal(x, kept)


def test_gradients_go_back_the_way_that_values_came() -> None:
    """d/dx of sum(weight * shift(x)) is the weight shifted the other way; what left at an end gets none."""
    x = numbered(3, 4).requires_grad_()
    weight = numbered(3, 4)
    (TemporalShift(num_segments=3, shift_div=4)(x) * weight).sum().backward()
    assert x.grad.flatten(1).tolist() == [[0, 21, 12, 13], [10, 31, 22, 23], [20, 0, 32, 33]]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_layout_and_type_stay(memory_format: torch.memory_format, dtype: torch.dtype) -> None:
    x = torch.randn(6, 8, 4, 4).to(dtype).to(memory_format=memory_format)
    out = TemporalShift(num_segments=3)(x)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=memory_format)
    assert torch.equal(out[0, 0], x[1, 0])
    assert torch.equal(out[1, 1], x[0, 1])
    assert torch.equal(out[:, 2:], x[:, 2:])


def test_one_nan_stays_one() -> None:
    """Zeros are written, not made as x - x."""
    x = torch.ones(3, 8, 1, 1)
    x[2, 0] = float("nan")
    assert TemporalShift(num_segments=3)(x).isnan().nonzero().tolist() == [[1, 0, 0, 0]]
