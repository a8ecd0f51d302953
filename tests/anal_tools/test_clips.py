"""Looping clips and contact sheets: their frames, their size, and what becomes of frames that don't compress."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from anal_tools.clips import CLIP_FRAMES, HEIGHT, LARGEST, SHEET_FRAMES, clip_url, encode_webp, sheet_url, thumbnail


def noise(count: int, *, size: tuple[int, int] = (HEIGHT, 149)) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)) for _ in range(count)]


def moving(count: int) -> list[Image.Image]:
    """A white bar of 9 pixels that moves by 9 a frame, on black."""
    frames = np.zeros((count, HEIGHT, 149, 3), dtype=np.uint8)
    for place in range(count):
        frames[place, :, 9 * place : 9 * place + 9] = 255
    return [Image.fromarray(each) for each in frames]


def opened(url: str, kind: str) -> Image.Image:
    head, data = url.split(",", 1)
    assert head == f"data:image/{kind};base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_a_clip_shows_every_frame_in_two_seconds_and_begins_again() -> None:
    url = clip_url(moving(CLIP_FRAMES))
    assert url is not None
    assert len(url) < 10_000
    clip = opened(url, "webp")
    assert (clip.n_frames, clip.size, clip.info["loop"]) == (16, (149, 112), 0)
    for place in range(16):
        clip.seek(place)
        clip.load()
        assert clip.info["duration"] == 125
        brightness = np.asarray(clip.convert("L"), dtype=float).mean(axis=0)
        assert abs(brightness @ np.arange(149) / brightness.sum() - (9 * place + 4)) < 2


@pytest.mark.parametrize("count", [1, 9])
def test_a_sheet_holds_the_frames_side_by_side(count: int) -> None:
    assert opened(sheet_url(moving(count)), "jpeg").size == (149 * count, 112)


def test_frames_that_do_not_compress_lose_quality_and_a_clip_of_wide_noise_is_left_out() -> None:
    assert len(encode_webp(noise(CLIP_FRAMES), seconds=2, quality=30)) > 2 * LARGEST
    assert clip_url(noise(CLIP_FRAMES, size=(HEIGHT, 600))) is None
    assert len(base64.b64decode(sheet_url(noise(SHEET_FRAMES)).split(",")[1])) <= LARGEST


def test_a_thumbnail_keeps_the_shape_of_the_frame() -> None:
    assert thumbnail(Image.new("RGB", (340, 256))).size == (149, 112)
    assert thumbnail(Image.new("RGB", (1, 500))).size == (1, 112)
