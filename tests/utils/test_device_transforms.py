"""Colour jitter against torchvision and by hand, erasing, mix-up, and whose draw is whose."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import functional as torchvision

from utils.device_transforms import DeviceTransform, as_float, brightness, contrast, hue, normalise, saturation
from utils.random_streams import stream

Step = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
STEPS: dict[str, tuple[Step, Callable[[torch.Tensor, float], torch.Tensor]]] = {
    "brightness": (brightness, torchvision.adjust_brightness),
    "contrast": (contrast, torchvision.adjust_contrast),
    "saturation": (saturation, torchvision.adjust_saturation),
    "hue": (hue, torchvision.adjust_hue),
}
FACTORS = {"hue": (-0.5, -0.13, 0.0, 0.1, 0.4)}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def frames_of(*shape: int, seed: int = 0) -> torch.Tensor:
    """Noise, uint8 (B, T, H, W, C)."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, size=shape, dtype=np.uint8))


def apply(step: Step, clips: torch.Tensor, *factors: float) -> torch.Tensor:
    return step(clips, torch.tensor(factors).view(-1, 1, 1, 1, 1))


def pixel(step: Step, colour: tuple[float, float, float], factor: float) -> list[float]:
    """One pixel of one frame through a step."""
    return apply(step, torch.tensor(colour, dtype=torch.float32).view(1, 1, 3, 1, 1), factor).flatten().tolist()


def transform(**changes: Any) -> DeviceTransform:
    return DeviceTransform(**{"mean": (0.0,) * 3, "std": (1.0,) * 3, "num_class": 4, "seed": 3, **changes})


def clips_of(batch: DeviceTransform, frames: torch.Tensor, positions: list[int]) -> torch.Tensor:
    return batch(frames, torch.zeros(len(frames), dtype=torch.int64), torch.tensor(positions))[0]


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_torchvisions_to_a_thousandth_of_a_grey_level(name: str) -> None:
    ours, theirs = STEPS[name]
    clips = as_float(frames_of(1, 2, 20, 24, 3))
    for factor in FACTORS.get(name, (0.0, 0.4, 1.0, 1.7)):
        expected = theirs(clips, factor)
        assert (apply(ours, clips, factor) - expected).abs().max() < 1e-3 / 255


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_torchvisions_on_bytes_to_two_grey_levels(name: str) -> None:
    """torchvision rounds down to whole grey levels after each blend, and the grey that it blends with too."""
    ours, theirs = STEPS[name]
    frames = frames_of(1, 2, 20, 24, 3)
    for factor in FACTORS.get(name, (0.0, 0.4, 1.0, 1.7)):
        expected = theirs(frames.permute(0, 1, 4, 2, 3), factor).float()
        assert (255 * apply(ours, as_float(frames), factor) - expected).abs().max() < 2


def test_each_clip_has_its_own_factor() -> None:
    clips = as_float(frames_of(3, 2, 8, 8, 3))
    for step, _ in STEPS.values():
        together = apply(step, clips, 0.1, 0.2, 0.4)
        alone = [apply(step, clips[i : i + 1], factor) for i, factor in enumerate((0.1, 0.2, 0.4))]
        assert torch.equal(together, torch.cat(alone))


def test_brightness_by_hand() -> None:
    assert pixel(brightness, (0.2, 0.4, 0.9), 1.5) == pytest.approx([0.3, 0.6, 1.0])
    assert pixel(brightness, (0.2, 0.4, 0.9), 0.0) == [0, 0, 0]


def test_saturation_by_hand() -> None:
    # the grey of pure red is 0.2989
    assert pixel(saturation, (1, 0, 0), 0.0) == pytest.approx([0.2989] * 3)
    assert pixel(saturation, (1, 0, 0), 0.5) == pytest.approx([0.64945, 0.14945, 0.14945])
    assert pixel(saturation, (0.5, 0.5, 0.5), 1.9) == pytest.approx([0.5] * 3, abs=1e-3)


def test_contrast_blends_with_the_mean_grey_of_each_frame_by_itself() -> None:
    # frame 0 is black and white: mean grey 0.49995; frame 1 is black throughout
    frames = torch.tensor([[0.0, 1.0], [0.0, 0.0]]).view(1, 2, 1, 1, 2).expand(1, 2, 3, 1, 2)
    blended = apply(contrast, frames, 0.5)
    assert blended[0, 0, 0, 0].tolist() == pytest.approx([0.249975, 0.749975])
    assert blended[0, 1, 0, 0].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("shift", "expected"),
    [(1 / 3, (0, 1, 0)), (-1 / 3, (0, 0, 1)), (0.5, (0, 1, 1)), (1 / 6, (1, 1, 0)), (1 / 12, (1, 0.5, 0))],
)
def test_hue_turns_red(shift: float, expected: tuple[float, float, float]) -> None:
    assert pixel(hue, (1, 0, 0), shift) == pytest.approx(expected, abs=1e-6)


def test_hue_leaves_grey_alone() -> None:
    for value in (0.0, 0.3, 1.0):
        assert pixel(hue, (value, value, value), 0.37) == [pytest.approx(value)] * 3


def test_normalising_by_hand_in_channels_last_memory() -> None:
    frames = torch.tensor([255, 0, 51], dtype=torch.uint8).expand(2, 3, 4, 5, 3).contiguous()
    clips = normalise(frames, MEAN, STD)
    assert clips.shape == (2, 3, 3, 4, 5)
    expected = [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    assert clips[1, 2, :, 3, 4].tolist() == pytest.approx(expected)
    assert clips.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_without_augmentation_a_batch_is_normalised_and_its_labels_are_smoothed() -> None:
    frames = frames_of(2, 3, 8, 8, 3)
    plain = transform(mean=MEAN, std=STD, label_smooth=0.2)
    clips, targets = plain(frames, torch.tensor([2, 0]), torch.tensor([0, 1]))
    assert torch.equal(clips, normalise(frames, MEAN, STD))
    assert targets.tolist() == [pytest.approx([0.05, 0.05, 0.85, 0.05]), pytest.approx([0.85, 0.05, 0.05, 0.05])]


JITTER = transform(colorjitter=[0.4, 0.4, 0.4, 0.1])
ERASE = transform(random_erasing=[1.0, 0.02, 0.4, 0.3])


@pytest.mark.parametrize("augment", [JITTER, ERASE], ids=["jitter", "erasing"])
def test_equal_frames_of_a_clip_stay_equal(augment: DeviceTransform) -> None:
    frame = frames_of(4, 1, 16, 16, 3)
    clips = clips_of(augment, frame.expand(4, 5, 16, 16, 3), [0, 1, 2, 3])
    assert (clips == clips[:, :1]).all()
    assert not torch.equal(clips, as_float(frame.expand(4, 5, 16, 16, 3)))


@pytest.mark.parametrize("augment", [JITTER, ERASE], ids=["jitter", "erasing"])
def test_a_clip_is_augmented_by_its_position_and_not_by_its_batch(augment: DeviceTransform) -> None:
    frames = frames_of(4, 2, 16, 16, 3)
    together = clips_of(augment, frames, [7, 8, 9, 10])
    assert torch.equal(together[2:3], clips_of(augment, frames[2:3], [9]))
    assert torch.equal(together.flip(0), clips_of(augment, frames.flip(0), [10, 9, 8, 7]))
    assert not torch.equal(together[2:3], clips_of(augment, frames[2:3], [11]))


@pytest.mark.parametrize("option", [{"colorjitter": [0.4, 0.4, 0.4, 0.1]}, {"random_erasing": [1.0, 0.02, 0.4, 0.3]}])
def test_another_seed_gives_other_draws(option: dict[str, Any]) -> None:
    frames = frames_of(1, 2, 16, 16, 3)
    one, same, other = (clips_of(transform(seed=seed, **option), frames, [5]) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(
    ("width", "lowest", "highest"),
    [(0.2, 0.8, 1.2), (1.0, 0.0, 2.0), (3.0, 0.0, 4.0)],
)
def test_brightness_is_uniform_in_its_range_and_never_below_0(width: float, lowest: float, highest: float) -> None:
    frames = torch.full((1, 1, 1, 1, 3), 1, dtype=torch.uint8)
    jitter = transform(colorjitter=[width, 0, 0, 0])
    factors = np.array([255 * float(clips_of(jitter, frames, [i])[0, 0, 0, 0, 0]) for i in range(1000)])
    counts, _ = np.histogram(factors, bins=5, range=(lowest, highest))
    assert counts.sum() == 1000
    assert counts.min() > 150
    assert counts.max() < 250


def test_the_steps_of_colour_jitter_come_in_any_order() -> None:
    # Of a bright pixel beside a dark one, brightness before contrast clips, and the other way round it does not.
    frames = torch.tensor([250, 20], dtype=torch.uint8).view(1, 1, 1, 2, 1).expand(1, 1, 1, 2, 3)
    jitter = transform(colorjitter=[0.9, 0.9, 0, 0])
    first_steps = set()
    for position in range(40):
        rng = stream(3, "colorjitter", position)
        order = rng.permutation(4)
        factors = rng.uniform([0.1, 0.1, 1, 0], [1.9, 1.9, 1, 0])
        clip = as_float(frames)
        for step in order[order < 2]:
            clip = apply((brightness, contrast)[step], clip, float(factors[step]))
        assert torch.allclose(clip, clips_of(jitter, frames, [position]), atol=1e-6)
        first_steps.add(int(order[order < 2][0]))
    assert first_steps == {0, 1}


def test_erasing_may_be_of_squares_alone() -> None:
    frames = torch.full((1, 1, 16, 16, 3), 255, dtype=torch.uint8)
    squares = transform(random_erasing=[1.0, 0.25, 0.25, 1.0])
    assert {erased(clips_of(squares, frames, [i])[0]) for i in range(20)} == {(8, 8, 64)}


def test_flow_has_no_colour_to_jitter() -> None:
    frames = frames_of(2, 3, 8, 8, 2)
    flow = transform(mean=(0.5, 0.5), std=(1.0, 1.0), colorjitter=[0.4, 0.4, 0.4, 0.1])
    assert torch.equal(clips_of(flow, frames, [0, 1]), normalise(frames, (0.5, 0.5), (1.0, 1.0)))


def test_jitter_keeps_the_channels_last_memory() -> None:
    clips = clips_of(JITTER, frames_of(2, 3, 8, 8, 3), [0, 1])
    assert clips.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def erased(clip: torch.Tensor) -> tuple[int, int, int]:
    """Height, width and number of the pixels that are 0 in all frames and channels."""
    empty = (clip == 0).all(dim=0).all(dim=0)
    rows, columns = empty.any(dim=1).sum(), empty.any(dim=0).sum()
    return int(rows), int(columns), int(empty.sum())


def test_erasing_puts_the_mean_into_one_box_of_the_wanted_area_and_aspect() -> None:
    frames = torch.full((1, 2, 40, 50, 3), 255, dtype=torch.uint8)
    boxes = [erased(clips_of(ERASE, frames, [i])[0]) for i in range(500)]
    assert all(rows * columns == count for rows, columns, count in boxes)  # one rectangle
    areas = np.array([count / 2000 for _, _, count in boxes])
    assert 0.015 < areas.min() < 0.03
    assert 0.38 < areas.max() < 0.42
    aspects = [rows / columns for rows, columns, count in boxes if count > 400]
    assert min(aspects) == pytest.approx(0.3, abs=0.05)
    assert max(aspects) == pytest.approx(1 / 0.3, abs=0.4)


def test_erasing_happens_with_its_probability() -> None:
    frames = torch.full((1, 1, 16, 16, 3), 255, dtype=torch.uint8)
    half = transform(random_erasing=[0.3, 0.1, 0.2, 0.5])
    hits = sum(erased(clips_of(half, frames, [i])[0])[2] > 0 for i in range(1000))
    assert 250 < hits < 350
    assert erased(clips_of(transform(random_erasing=[0.0, 0.1, 0.2, 0.5]), frames, [0])[0])[2] == 0


def test_erased_pixels_are_the_mean_not_black() -> None:
    clip = clips_of(transform(mean=MEAN, std=STD, random_erasing=[1.0, 0.2, 0.4, 0.5]), frames_of(1, 2, 16, 16, 3), [0])
    assert erased(clip[0])[2] > 40
    assert float(normalise(torch.zeros(1, 1, 1, 1, 3, dtype=torch.uint8), MEAN, STD).max()) < -1.7  # what black is


def test_an_erased_box_that_cannot_fit_is_left_out() -> None:
    frames = torch.full((1, 1, 16, 16, 3), 255, dtype=torch.uint8)
    whole = transform(random_erasing=[1.0, 1.0, 1.0, 1.0])  # all of the frame, which torchvision does not erase either
    assert erased(clips_of(whole, frames, [0])[0])[2] == 0


def test_mix_up_mixes_clips_and_targets_by_one_share() -> None:
    frames = frames_of(3, 2, 8, 8, 3)
    clips, targets = transform(mix_up=0.2)(frames, torch.tensor([0, 1, 3]), torch.tensor([40, 41, 42]))
    share = float(stream(3, "mix_up", 40).beta(0.2, 0.2))
    plain = as_float(frames)
    assert torch.allclose(clips[0], share * plain[0] + (1 - share) * plain[2])
    assert torch.allclose(clips[1], plain[1])  # the middle one of an odd batch is its own partner
    assert targets[0].tolist() == pytest.approx([share, 0, 0, 1 - share])
    assert targets[1].tolist() == pytest.approx([0, 1, 0, 0])
    assert targets[2].tolist() == pytest.approx([1 - share, 0, 0, share])
    assert clips.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)


def test_mix_up_draws_its_share_from_the_beta_distribution() -> None:
    frames = torch.tensor([255, 0], dtype=torch.uint8).view(2, 1, 1, 1, 1).expand(2, 1, 1, 1, 3)
    mixed = transform(mix_up=0.4)
    shares = np.array([float(clips_of(mixed, frames, [i, i + 1])[0].max()) for i in range(0, 2000, 2)])
    assert shares.mean() == pytest.approx(0.5, abs=0.04)
    assert shares.var() == pytest.approx(0.25 / 1.8, abs=0.015)  # of Beta(a, a): 1 / 4 (2 a + 1)


@pytest.mark.cuda
def test_the_device_changes_no_draw() -> None:
    frames = frames_of(4, 2, 16, 16, 3)
    augment = transform(mean=MEAN, std=STD, colorjitter=[0.4] * 3 + [0.1], random_erasing=[1.0, 0.02, 0.4, 0.3])
    here = clips_of(augment, frames, [0, 1, 2, 3])
    there = augment(frames.cuda(), torch.zeros(4, dtype=torch.int64).cuda(), torch.arange(4))[0].cpu()
    assert (here - there).abs().max() < 1e-4
