"""Parts of pictures: the pixels of the whole, without decoding the rows below, and as strict about damage."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import simplejpeg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.made_frames import as_jpeg, texture
from datasets.broken_video import BrokenVideo
from datasets.frame_sources import FolderSource
from datasets.frame_sources.jpeg import decode_grey, decode_rgb
from datasets.frame_sources.jpeg_rows import decode_rows
from tests.frame_folders import make_flow_folder, make_frame_folders
from utils.random_streams import stream
from utils.transforms import CropBox, cut

PICTURE = Path("root/v/img_00001.jpg")
HEIGHT, WIDTH = 75, 101
PIXELS = texture(stream(0, "test"), slope=1.5, height=HEIGHT, width=WIDTH)
NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def jpeg(pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, "JPEG", **{"quality": 95, **options})
    return file.getvalue()


KINDS = {
    "4:2:0": jpeg(subsampling=2),
    "4:2:2": jpeg(subsampling=1),
    "4:4:4": jpeg(subsampling=0),
    "grey": jpeg(PIXELS[..., 0]),
    "noise": jpeg(NOISE),
    "optimised": jpeg(optimize=True),
    "progressive": jpeg(progressive=True),
    "restart markers": jpeg(restart_marker_rows=1),
    "comment": jpeg(comment=b"\xff\xc0\x00\x11" * 50),
}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, HEIGHT))
def test_the_upper_rows_are_those_of_the_whole(kind: str, rows: int) -> None:
    data = KINDS[kind]
    for colours in ("RGB", "GRAY"):
        whole = simplejpeg.decode_jpeg(data, colours, fastupsample=True)
        assert np.array_equal(decode_rows(data, colours, (rows, HEIGHT, WIDTH))[:rows], whole[:rows])


def test_fewer_rows_of_the_usual_kinds_are_decoded() -> None:
    """What needs the whole gives the whole."""
    rows = {kind: len(decode_rows(data, "RGB", (20, HEIGHT, WIDTH))) for kind, data in KINDS.items()}
    assert {kind for kind, count in rows.items() if count != 20} == {"progressive", "restart markers"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_is_the_whole_cut_with_colours_a_little_off(kind: str) -> None:
    box = CropBox(13, 22, 37, 51)
    exact = cut(decode_rgb(KINDS[kind], PICTURE), box)
    part = decode_rgb(KINDS[kind], PICTURE, box)
    assert part.shape == (37, 51, 3)
    off = (part.int() - exact.int()).abs().float().mean()
    assert off <= (0 if kind in ("4:4:4", "grey") else 20 if kind == "noise" else 1.0), f"{off:.2f} grey levels"
    assert torch.equal(decode_grey(KINDS[kind], PICTURE, box), cut(decode_grey(KINDS[kind], PICTURE), box))


@pytest.mark.parametrize("kind", ["4:2:0", "restart markers", "progressive"])
def test_a_file_cut_short_is_an_error_also_below_the_part(kind: str) -> None:
    data, box = KINDS[kind], CropBox(0, 0, 16, 16)
    decode_rgb(data, PICTURE, box)
    for length in range(0, len(data) - 2, 41):
        with pytest.raises(BrokenVideo, match=r"img_00001\.jpg: "):
            decode_rgb(data[:length], PICTURE, box)


def test_damage_that_the_decoder_stumbles_over_is_found_in_the_part_too() -> None:
    """Not so damage after which it only ends elsewhere: in a part, bytes are always left over."""
    data, box, rng = KINDS["4:2:0"], CropBox(0, 0, HEIGHT - 1, WIDTH), np.random.default_rng(1)
    found = missed = 0
    for _ in range(200):
        damaged = bytearray(data)
        for place in rng.integers(len(data) // 3, len(data) // 2, size=4):
            damaged[place] = rng.integers(256)
        try:
            decode_rgb(bytes(damaged), PICTURE)
        except BrokenVideo as error:
            if "extraneous bytes before marker 0xd9" in error.reason:
                missed += 1
                continue
            found += 1
            with pytest.raises(BrokenVideo):
                decode_rgb(bytes(damaged), PICTURE, box)
    assert found > 30
    assert missed > 0, "this test says what is not noticed, and everything was"


def test_parts_of_a_clip_are_cut_alike_and_drawn_once(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["a"], frames=6)
    make_flow_folder(tmp_path / "flow", frames=6)
    asked: list[tuple[int, int]] = []

    def part(height: int, width: int) -> CropBox:
        asked.append((height, width))
        return CropBox(5, 30, 20, 24)

    for video, modality in (("a", "RGB"), ("flow", "Flow")):
        source = FolderSource(root=tmp_path, modality=modality)
        indices = np.array([3, 0, 3, 4])
        clip = source.read_part(video, indices, part)
        whole = torch.stack([cut(frame, CropBox(5, 30, 20, 24)) for frame in source.read(video, indices)])
        assert clip.shape == whole.shape
        assert clip.is_contiguous()
        assert (clip.int() - whole.int()).abs().float().mean() < (1.5 if modality == "RGB" else 1e-6)
    assert asked == [(48, 64)] * 2


def test_frames_of_different_sizes_are_refused(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["a"], frames=3)
    (tmp_path / "a/img_00002.jpg").write_bytes(as_jpeg(PIXELS))
    with pytest.raises(BrokenVideo, match="a: frames of different sizes"):
        FolderSource(root=tmp_path).read_part("a", np.array([0, 1]), lambda *_: CropBox(0, 0, 8, 8))
