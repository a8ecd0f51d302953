"""Group transforms: which boxes are drawn, and what cutting, resizing and mirroring do to pixels."""

from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from utils.random_streams import stream
from utils.transforms import (
    CropBox,
    cut,
    fixed_crops,
    flip,
    multi_scale_crop,
    random_resized_crop,
    resize,
    resize_short_side,
    scale_jitter_crop,
)

SCALES = [1.0, 0.875, 0.75, 0.66]
HEIGHT, WIDTH = 256, 340  # TSN's frames


def clip_of(*shape: int, seed: int = 0) -> torch.Tensor:
    """Smooth noise, uint8 (T, H, W, C)."""
    rng = np.random.default_rng(seed)
    frames, height, width, channels = shape
    coarse = rng.integers(0, 256, size=(frames, height // 4 + 1, width // 4 + 1, channels), dtype=np.uint8)
    fine = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    return torch.from_numpy(np.ascontiguousarray(fine))


def multi_scale_boxes(count: int, size: int = 224, height: int = HEIGHT, width: int = WIDTH) -> list[CropBox]:
    return [multi_scale_crop(height, width, size, SCALES, stream(0, "crop", i)) for i in range(count)]


def test_multi_scale_draws_the_ten_pairs_of_neighbouring_sides_alike() -> None:
    pairs = Counter((box.height, box.width) for box in multi_scale_boxes(4000))
    sides = [256, 224, 192, 168]
    expected = {(a, b) for i, a in enumerate(sides) for j, b in enumerate(sides) if abs(i - j) <= 1}
    assert len(expected) == 10
    assert set(pairs) == expected
    assert min(pairs.values()) > 330
    assert max(pairs.values()) < 470


def test_multi_scale_draws_tsns_thirteen_positions_alike() -> None:
    # A crop of 224 x 192 in 256 x 340: steps of (256 - 224) // 4 = 8 down and (340 - 192) // 4 = 37 to the right
    boxes = [box for box in multi_scale_boxes(12_000) if (box.height, box.width) == (224, 192)]
    places = Counter((box.top // 8, box.left // 37) for box in boxes)
    assert all(box.top % 8 == 0 and box.left % 37 == 0 for box in boxes)
    whole = {(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)}
    edges = {(0, 2), (2, 0), (2, 4), (4, 2)}
    quarters = {(1, 1), (1, 3), (3, 1), (3, 3)}
    assert set(places) == whole | edges | quarters
    assert min(places.values()) > 0.7 * len(boxes) / 13


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        (222, {256, 222, 192, 168}),  # 224 is 2 away
        (226, {256, 226, 192, 168}),
        (221, {256, 224, 192, 168}),  # 3 away
        (255, {255, 224, 192, 168}),
        (170, {256, 224, 192, 170}),
    ],
)
def test_multi_scale_snaps_sides_within_two_pixels(size: int, sides: set[int]) -> None:
    boxes = multi_scale_boxes(300, size=size)
    assert {box.height for box in boxes} == {box.width for box in boxes} == sides


def test_multi_scale_never_leaves_the_frame() -> None:
    for height, width in ((256, 340), (340, 256), (223, 223), (1, 1), (5, 400)):
        for box in multi_scale_boxes(200, height=height, width=width):
            assert 0 <= box.top <= box.top + box.height <= height
            assert 0 <= box.left <= box.left + box.width <= width
            assert min(box.height, box.width) >= 1


def test_scale_jitter_cuts_what_the_square_of_the_resized_frame_shows() -> None:
    # Short side 256 becomes 256 to 320: a square of 224 shows 224 down to 256 * 224 / 320 = 179.2 stored pixels
    boxes = [scale_jitter_crop(256, 340, 224, [256, 320], stream(0, "crop", i)) for i in range(2000)]
    sides = [box.height for box in boxes]
    assert all(box.height == box.width for box in boxes)
    assert (min(sides), max(sides)) == (179, 224)
    assert {box.top for box in boxes if box.height == 179} <= set(range(78))
    assert min(box.top for box in boxes) == min(box.left for box in boxes) == 0
    assert max(box.left + box.width for box in boxes) == 340  # the last offset is drawn too
    assert max(box.top + box.height for box in boxes) == 256


def test_scale_jitter_to_one_length_is_a_crop_of_one_size() -> None:
    boxes = [scale_jitter_crop(48, 36, 32, [32, 32], stream(0, "crop", i)) for i in range(100)]
    assert {(box.height, box.width, box.left) for box in boxes} == {(36, 36, 0)}
    assert {box.top for box in boxes} == set(range(13))


def test_scale_jitter_to_less_than_the_crop_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="short side of 100 leaves no room for a crop of 224"):
        scale_jitter_crop(256, 340, 224, [100, 100], stream(0, "crop", 0))


def test_random_resized_draws_areas_and_aspects_of_its_ranges() -> None:
    boxes = [random_resized_crop(HEIGHT, WIDTH, 224, stream(0, "crop", i)) for i in range(3000)]
    areas = np.array([box.height * box.width / (HEIGHT * WIDTH) for box in boxes])
    aspects = np.array([box.width / box.height for box in boxes])
    assert 0.078 < areas.min() < 0.085
    assert 0.95 < areas.max() <= 1
    assert aspects.min() == pytest.approx(3 / 4, abs=0.02)
    assert aspects.max() == pytest.approx(4 / 3, abs=0.02)
    assert np.log(aspects[areas < 0.5]).mean() == pytest.approx(0, abs=0.02)
    assert all(box.top + box.height <= HEIGHT and box.left + box.width <= WIDTH for box in boxes)


def test_random_resized_takes_the_centre_where_nothing_fits() -> None:
    assert random_resized_crop(10, 1000, 224, stream(0, "crop", 0), area=(0.9, 1.0)) == CropBox(0, 495, 10, 10)


def places(height: int, width: int, size: int, crops: int) -> list[tuple[int, int]]:
    fixed = fixed_crops(height, width, size, crops)
    assert {(box.height, box.width) for box, _ in fixed} == {(size, size)}
    return [(box.top, box.left) for box, _ in fixed]


def test_fixed_crops_of_tsns_frames() -> None:
    five = [(0, 0), (0, 116), (32, 0), (32, 116), (16, 58)]
    assert places(256, 340, 224, 1) == [(16, 58)]
    assert places(256, 340, 224, 3) == [(16, 0), (16, 116), (16, 58)]
    assert places(256, 340, 224, 5) == five
    assert places(256, 340, 224, 10) == five + five
    assert [flipped for _, flipped in fixed_crops(256, 340, 224, 10)] == [False] * 5 + [True] * 5


def test_three_crops_lie_along_the_longer_side() -> None:
    assert places(256, 340, 256, 3) == [(0, 0), (0, 84), (0, 42)]
    assert places(340, 256, 256, 3) == [(0, 0), (84, 0), (42, 0)]
    assert places(256, 256, 256, 3) == [(0, 0)] * 3


def test_a_crop_larger_than_the_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="a crop of 257 does not fit a frame of 340x256: raise test_resize"):
        fixed_crops(256, 340, 257, 1)


@pytest.mark.parametrize("size", [(224, 224), (56, 56), (300, 500), (97, 41)])
@pytest.mark.parametrize("channels", [2, 3])
def test_resize_is_pillows_to_one_grey_level(size: tuple[int, int], channels: int) -> None:
    clip = clip_of(2, 180, 240, channels)
    resized = resize(clip, size)
    assert resized.shape == (2, *size, channels)
    assert resized.dtype == torch.uint8
    for frame, ours in zip(clip, resized):
        for channel in range(channels):
            picture = Image.fromarray(frame[..., channel].numpy())
            theirs = np.asarray(picture.resize(size[::-1], Image.Resampling.BILINEAR))
            difference = np.abs(theirs.astype(int) - ours[..., channel].numpy().astype(int))
            assert difference.max() <= 1
            assert (difference > 0).mean() < 0.01


def test_resize_to_its_own_size_changes_nothing() -> None:
    clip = clip_of(2, 24, 32, 3)
    assert torch.equal(resize(clip, (24, 32)), clip)


def test_cut_gives_the_box_alone_without_a_copy() -> None:
    clip = clip_of(3, 64, 80, 3)
    part = cut(clip, CropBox(8, 20, 32, 40))
    assert torch.equal(part, clip[:, 8:40, 20:60])
    assert torch.equal(cut(clip[1], CropBox(8, 20, 32, 40)), part[1])
    part[0, 0, 0, 0] += 1
    assert part[0, 0, 0, 0] == clip[0, 8, 20, 0]
    assert torch.equal(resize(part, (16, 16)), resize(part.contiguous(), (16, 16)))


def test_cut_outside_the_frame_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="leaves the frame"):
        cut(clip_of(1, 64, 80, 3), CropBox(40, 0, 32, 32))


@pytest.mark.parametrize(
    ("stored", "resized"),
    [((240, 320), (256, 341)), ((320, 240), (341, 256)), ((100, 100), (256, 256)), ((256, 999), (256, 999))],
)
def test_the_short_side_is_resized_and_the_other_in_proportion(
    stored: tuple[int, int], resized: tuple[int, int]
) -> None:
    assert resize_short_side(clip_of(1, *stored, 3), 256).shape == (1, *resized, 3)


def test_flip_mirrors_every_frame() -> None:
    clip = clip_of(2, 4, 6, 3)
    flipped = flip(clip)
    assert torch.equal(flipped[:, :, 0], clip[:, :, 5])
    assert torch.equal(flipped[:, :, 4], clip[:, :, 1])
    assert torch.equal(flip(flipped), clip)


def test_flip_of_flow_turns_its_x_round() -> None:
    clip = torch.tensor([[10, 200], [128, 60]], dtype=torch.uint8).view(1, 1, 2, 2)  # two pixels of (x, y)
    before = clip.clone()
    assert flip(clip).view(2, 2).tolist() == [[127, 60], [245, 200]]
    assert torch.equal(clip, before)
