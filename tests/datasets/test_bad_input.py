"""Every kind of bad picture and path is named with list and line, counted and skipped, or ends the run."""

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import simplejpeg
import torch

from datasets.evaluation_loader import build_evaluation_loader
from datasets.loaders import Batch, ClipFormat, build_train_loader
from datasets.protocols import protocol_for
from datasets.videos import read_videos
from tests.datasets.folder_config import folder_config
from tests.frame_folders import make_frame_folders, write_list
from utils.config_schema import Config
from utils.errors import UserError

PIXELS = np.full((48, 64, 3), 90, np.uint8)
BAD = "v 4"  # in line 5 of the list


def saved(file_format: str, mode: str, pixels: np.ndarray = PIXELS) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).convert(mode).save(file, file_format)
    return file.getvalue()


def declared_as(side: int) -> bytes:
    """A small JPEG whose header says `side` x `side` pixels."""
    data = bytearray(saved("JPEG", "RGB"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def every_frame(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for file in folder.iterdir():
            file.write_bytes(change(file.read_bytes()))

    return damage


def lead_out(folder: Path) -> None:
    outside = folder.parent.parent / "elsewhere"
    folder.rename(outside)
    folder.symlink_to(outside)


def link_frames_out(folder: Path) -> None:
    outside = folder.parent.parent / "one.jpg"
    outside.write_bytes((folder / "img_00001.jpg").read_bytes())
    for file in folder.iterdir():
        file.unlink()
        file.symlink_to(outside)


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "truncated": (every_frame(lambda data: data[:-40]), "broken JPEG"),
    "empty": (every_frame(lambda data: b""), "the file is empty"),
    "text": (every_frame(lambda data: b"<html>"), "not a picture; begins with b'<html>'"),
    "bomb": (every_frame(lambda data: declared_as(20_000)), "20000x20000 pixels, more than 64,000,000 are refused"),
    "frame missing": (lambda folder: [(folder / f"img_{n:05d}.jpg").unlink() for n in range(2, 13)], "No such file"),
    "folder missing": (lambda folder: folder.rename(folder.parent / "gone"), "No such file"),
    "link out": (lead_out, "outside the root"),
    "linked frames": (link_frames_out, "outside the root"),
}
DECODABLE: dict[str, Callable[[bytes], bytes]] = {
    "CMYK": lambda data: saved("JPEG", "CMYK"),
    "grey": lambda data: saved("JPEG", "L"),
    "PNG called jpg": lambda data: saved("PNG", "RGB"),
    "1x1": lambda data: simplejpeg.encode_jpeg(np.full((1, 1, 3), 90, np.uint8)),
}


def train_batches(config: Config) -> list[Batch]:
    videos = read_videos(config, "train", sampling="segments")
    clip = ClipFormat("segments", 1, "multi_scale")
    return list(build_train_loader(config, videos, clip, rank=0, world_size=1, start_iteration=0))


def evaluate(config: Config) -> list[Any]:
    protocol = protocol_for("center", sampling="segments", num_frames=4, stride=1, size=16, resize=24)
    videos = read_videos(config, "val", sampling="segments")
    loader = build_evaluation_loader(config, videos, [protocol], rank=0, world_size=1)
    return list(loader.videos)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kind", DAMAGE)
def test_bad_videos_are_named_by_line_skipped_or_end_the_run(tmp_path: Path, kind: str, workers: int) -> None:
    damage, reason = DAMAGE[kind]
    config = folder_config(tmp_path, workers=workers)
    damage(tmp_path / "frames" / BAD)
    batches = train_batches(config)
    lines = [line for batch in batches for line in batch.broken]
    assert [len(batch.label) for batch in batches] == [3] * 8
    assert 2 <= len(lines) <= 4  # once in each of two epochs of ten videos, and where it is drawn as a replacement
    assert all(line.startswith(f"{tmp_path}/list.txt:5: {BAD}: ") and reason in line for line in lines)
    with pytest.raises(UserError, match=rf"list\.txt:5: {BAD}: .*; mend or leave out the video, or set bad_data"):
        train_batches(folder_config(tmp_path, workers=workers, bad_data={"train": "stop"}))
    with pytest.raises(UserError, match=rf"list\.txt:5: {BAD}: .*; evaluation substitutes nothing"):
        evaluate(config)


@pytest.mark.parametrize("kind", DECODABLE)
def test_odd_pictures_are_frames_like_others(tmp_path: Path, kind: str) -> None:
    config = folder_config(tmp_path)
    every_frame(DECODABLE[kind])(tmp_path / "frames" / BAD)
    batches = train_batches(config)
    assert [line for batch in batches for line in batch.broken] == []
    clips = [batch.frames[place] for batch in batches for place in range(3) if batch.video_index[place] == 4]
    assert len(clips) >= 2
    assert all((clip.shape, clip.dtype) == ((4, 16, 16, 3), torch.uint8) for clip in clips)
    assert all(bool((clip.int() - 90).abs().max() <= 2) for clip in clips)
    assert len(evaluate(config)) == 10


@pytest.mark.parametrize("path", ["../frames/v 4", "{root}/v 4", "v 4/../v 4"])
def test_paths_that_leave_the_root_need_leave(tmp_path: Path, path: str) -> None:
    folder_config(tmp_path)
    path = path.format(root=tmp_path / "frames")
    write_list(tmp_path / "list.txt", ["v 0 12 0", f"{path} 12 1"])
    with pytest.raises(UserError, match=r"list\.txt:2: got the path .*, needs one that stays below the root"):
        evaluate(folder_config(tmp_path))
    assert len(evaluate(folder_config(tmp_path, source={"outside_root": True}))) == 2


def test_a_link_out_of_the_root_is_followed_where_that_is_allowed(tmp_path: Path) -> None:
    folder_config(tmp_path)
    lead_out(tmp_path / "frames" / BAD)
    assert len(evaluate(folder_config(tmp_path, source={"outside_root": True}))) == 10


def test_links_that_stay_below_the_root_are_fine(tmp_path: Path) -> None:
    config = folder_config(tmp_path)
    (tmp_path / "frames" / BAD).rename(tmp_path / "frames/moved")
    (tmp_path / "frames" / BAD).symlink_to("moved")
    (tmp_path / "frames/v 0/img_00001.jpg").rename(tmp_path / "frames/x.jpg")
    (tmp_path / "frames/v 0/img_00001.jpg").symlink_to("../x.jpg")
    (tmp_path / "other name of the root").symlink_to("frames")
    assert len(evaluate(config)) == 10
    assert len(evaluate(folder_config(tmp_path, val_root=str(tmp_path / "other name of the root")))) == 10


@pytest.mark.parametrize("outside_root", [False, True])
def test_a_nul_byte_is_named_by_line(tmp_path: Path, outside_root: bool) -> None:
    folder_config(tmp_path)
    (tmp_path / "list.txt").write_bytes(b"v 0 12 0\nv\0 1 12 0\n")
    with pytest.raises(UserError, match=r"list\.txt:2: got a path with a NUL byte"):
        evaluate(folder_config(tmp_path, source={"outside_root": outside_root}))


def test_a_video_of_frames_of_two_sizes_is_broken(tmp_path: Path) -> None:
    config = folder_config(tmp_path)
    make_frame_folders(tmp_path / "small", ["v"], frames=6, size=(24, 32))
    for file in (tmp_path / "small/v").iterdir():
        file.rename(tmp_path / "frames" / BAD / file.name)
    with pytest.raises(UserError, match=rf"list\.txt:5: {BAD}: .*frames of different sizes \[\(24, 32, 3\), \(48, "):
        evaluate(config)
