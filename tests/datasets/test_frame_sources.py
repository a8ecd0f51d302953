"""Folders of JPEGs, flow pairs, image files: right pixels, or a `BrokenVideo` that names the file."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import simplejpeg
import torch

from datasets.broken_video import BrokenVideo
from datasets.frame_names import FrameNames
from datasets.frame_sources import FolderSource, ImageFileSource, pictures
from datasets.frame_sources.jpeg import decode_grey, decode_rgb
from tests.frame_folders import frame_numbers, frame_pixels, make_flow_folder, make_frame_folders, video_number
from utils.transforms import CropBox

PICTURE = Path("root/v/img_00001.jpg")
NOISE = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def saved(pixels: np.ndarray, file_format: str, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(file, file_format)
    return file.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    make_frame_folders(tmp_path, ["a", "b/c d"], frames=6)
    return FolderSource(root=tmp_path)


def test_a_folder_gives_the_frames_that_are_asked_for(source: FolderSource) -> None:
    frames = source.read("b/c d", np.array([5, 0, 3]))
    assert [(frame.dtype, tuple(frame.shape)) for frame in frames] == [(torch.uint8, (48, 64, 3))] * 3
    clip = torch.stack(frames)
    assert (video_number(clip), frame_numbers(clip)) == (1, [5, 0, 3])
    assert (clip.int() - torch.from_numpy(np.stack([frame_pixels(1, i, (48, 64)) for i in (5, 0, 3)])).int())[
        :, :, :24
    ].abs().max() <= 2
    assert source.num_frames("a") == 6
    assert "img_{:05d}.jpg, counted from 1" in source.describe()


def test_frames_may_be_counted_from_zero(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["a"], frames=6, template="{:06d}.jpg", first=0)
    assert frame_numbers(torch.stack(FolderSource(root=tmp_path).read("a", np.array([0, 5])))) == [0, 5]


def test_a_repeated_frame_is_decoded_once(source: FolderSource, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counting(data: bytes, path: object, box: CropBox | None) -> torch.Tensor:
        decoded.append(Path(str(path)).name)
        return decode_rgb(data, path, box)

    monkeypatch.setattr(pictures, "decode_rgb", counting)
    assert frame_numbers(torch.stack(source.read("a", np.array([2, 2, 4, 2])))) == [2, 2, 4, 2]
    part = source.read_part("a", np.array([4, 2, 2]), lambda height, width: CropBox(0, 0, height, width))
    assert frame_numbers(part) == [4, 2, 2]
    assert decoded == 2 * ["img_00003.jpg", "img_00005.jpg"]


def test_flow_pairs_become_two_channels(tmp_path: Path) -> None:
    make_flow_folder(tmp_path / "v", frames=4)
    source = FolderSource(root=tmp_path, modality="Flow")
    (frame,) = source.read("v", np.array([3]))
    assert frame.shape == (48, 64, 2)
    assert [int(frame[..., channel].float().mean()) for channel in (0, 1)] == [30, 225]
    assert source.num_frames("v") == 4


def test_flow_pairs_of_two_sizes_are_broken(tmp_path: Path) -> None:
    make_flow_folder(tmp_path / "v", frames=2)
    (tmp_path / "v/flow_y_00001.jpg").write_bytes(simplejpeg.encode_jpeg(NOISE[:40]))
    with pytest.raises(BrokenVideo, match=r"flow_x_00001\.jpg: \(48, 64, 1\) pixels, flow_y_00001\.jpg has \(40, "):
        FolderSource(root=tmp_path, modality="Flow").read("v", np.array([0, 1]))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda file: file.unlink(), "img_00002.jpg: No such file or directory"),
        (lambda file: file.write_bytes(b""), "img_00002.jpg: the file is empty"),
        (lambda file: file.write_bytes(file.read_bytes()[:-9]), "img_00002.jpg: broken JPEG"),
        (lambda file: file.write_text("<html>"), "img_00002.jpg: not a picture; begins with b'<html>'"),
        (lambda file: file.write_bytes(saved(NOISE[:20], "JPEG")), "/a: frames of different sizes"),
        (lambda file: (file.unlink(), file.mkdir()), "img_00002.jpg: Is a directory"),
    ],
)
def test_a_broken_file_is_named(source: FolderSource, damage: Callable[[Path], object], expected: str) -> None:
    damage(source.root / "a/img_00002.jpg")
    assert len(source.read("a", np.array([0, 2]))) == 2  # what isn't read can't be broken
    with pytest.raises(BrokenVideo) as error:
        source.read("a", np.array([0, 1, 2]))
    assert expected in error.value.reason


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    source = FolderSource(root=tmp_path, names=FrameNames("img_{:05d}.jpg", 1))
    with pytest.raises(BrokenVideo, match=r"nowhere/img_00001\.jpg: No such file"):
        source.read("nowhere", np.array([0]))
    with pytest.raises(BrokenVideo, match="nowhere: No such file"):
        source.num_frames("nowhere")


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "WEBP"])
def test_other_formats_are_decoded_by_pillow(file_format: str) -> None:
    smooth = frame_pixels(2, 3, (48, 64))
    difference = decode_rgb(saved(smooth, file_format), PICTURE).numpy().astype(int) - smooth
    assert abs(difference[:, :28]).max() <= (0 if file_format != "WEBP" else 8)


@pytest.mark.parametrize(("file_format", "mode"), [("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "L"), ("PNG", "RGBA")])
def test_every_colour_space_becomes_three_channels_or_one(file_format: str, mode: str) -> None:
    data = saved(np.full((48, 64, 3), 90, np.uint8), file_format, mode)
    for decode, channels in ((decode_rgb, 3), (decode_grey, 1)):
        frame = decode(data, PICTURE)
        assert frame.shape == (48, 64, channels)
        assert frame.dtype == torch.uint8
        assert (frame.int() - 90).abs().max() <= 2


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_decompression_bomb_is_refused(side: int) -> None:
    png = saved(NOISE, "PNG")
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = png[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + png[33:]
    with pytest.raises(BrokenVideo, match=r"img_00001\.jpg: "):
        decode_rgb(bomb, PICTURE)


@pytest.mark.parametrize(("file_format", "mode"), [("JPEG", "RGB"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("GIF", "P")])
def test_damaged_bytes_never_do_worse_than_broken_video(file_format: str, mode: str) -> None:
    data, rng = saved(NOISE, file_format, mode), np.random.default_rng(1)
    for trial in range(300):
        damaged = bytearray(data)
        for place in rng.integers(0, min(len(data), 600) if trial % 2 else len(data), size=4):
            damaged[place] = rng.integers(256)
        try:
            frame = decode_rgb(bytes(damaged[: rng.integers(1, 2 * len(data))]), PICTURE)
        except BrokenVideo as error:
            assert str(PICTURE) in error.reason  # noqa: PT017
        else:
            assert frame.dtype == torch.uint8
            assert frame.shape[2] == 3


def test_every_truncation_of_a_jpeg_is_an_error() -> None:
    data = saved(NOISE, "JPEG")
    for length in range(0, len(data), 97):
        with pytest.raises(BrokenVideo):
            decode_rgb(data[:length], PICTURE)


def test_an_image_file_is_a_video_of_one_frame(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["a"], frames=3)
    source = ImageFileSource(root=tmp_path)
    assert source.num_frames("a/img_00002.jpg") == 1
    assert frame_numbers(torch.stack(source.read("a/img_00002.jpg", np.array([0])))) == [1]
    with pytest.raises(BrokenVideo, match="No such file"):
        source.read("a/img_00009.jpg", np.array([0]))
