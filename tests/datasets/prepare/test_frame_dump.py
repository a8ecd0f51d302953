from pathlib import Path

import numpy as np
import pytest
import simplejpeg

from datasets.prepare.find_videos import VideoFile, find_videos
from datasets.prepare.frame_dump import DumpOptions, DumpResult, dump_video, fit_size, is_dumped
from datasets.prepare.frame_folder import read_marker
from datasets.video_decoding import decode_frames
from tests.datasets.prepare.moving_videos import FRAMES, SIDE, make_videos
from tests.shared_material import SHARED, needs_shared

OPTIONS = DumpOptions(short_side=256, size=None, quality=95, flow=False)
MADE = SHARED / "samples" / "made"


def _dump(video: VideoFile, frames: Path, options: DumpOptions = OPTIONS) -> DumpResult:
    *signs, result = dump_video(video, frames=frames, options=options)
    assert result is not None
    assert signs == [None] * len(signs)
    return result


def _sample(path: Path) -> VideoFile:
    return find_videos(path).videos[0]


@pytest.mark.parametrize(
    ("size", "options", "expected"),
    [
        ((320, 240), OPTIONS, (320, 240)),
        ((1280, 720), OPTIONS, (455, 256)),
        ((720, 1280), OPTIONS, (256, 455)),
        ((256, 300), OPTIONS, (256, 300)),
        ((320, 240), OPTIONS._replace(size=(340, 256)), (340, 256)),
        ((9000, 3), OPTIONS._replace(short_side=1), (3000, 1)),
    ],
)
def test_fit_size(size: tuple[int, int], options: DumpOptions, expected: tuple[int, int]) -> None:
    assert fit_size(*size, options) == expected


def test_frames_are_those_of_the_video(tmp_path: Path) -> None:
    video = _sample(make_videos(tmp_path / "v", ["a.mp4"]))
    assert _dump(video, tmp_path / "f") == DumpResult("whole")
    files = sorted((tmp_path / "f/a").glob("*.jpg"))
    assert [file.name for file in files] == [f"img_{number:05d}.jpg" for number in range(1, FRAMES + 1)]
    for file, frame in zip(files, decode_frames(video.path)):
        data = file.read_bytes()
        assert simplejpeg.decode_jpeg_header(data)[:4] == (SIDE, SIDE, "YCbCr", "420")
        assert np.abs(simplejpeg.decode_jpeg(data).astype(int) - frame).mean() < 4.0
    marker = read_marker(tmp_path / "f/a")
    assert marker is not None
    assert (marker["num_frames"], marker["num_flows"], marker["truncated"]) == (FRAMES, 0, None)


def test_what_was_made_with_other_options_or_from_another_file_counts_for_nothing(tmp_path: Path) -> None:
    video = _sample(make_videos(tmp_path / "v", ["a.mp4"]))
    small = OPTIONS._replace(short_side=32)
    assert is_dumped(video, tmp_path / "f", OPTIONS) is None
    _dump(video, tmp_path / "f")
    assert is_dumped(video, tmp_path / "f", OPTIONS) == DumpResult("whole")
    assert is_dumped(video, tmp_path / "f", small) is None
    _dump(video, tmp_path / "f", small)
    assert simplejpeg.decode_jpeg_header((tmp_path / "f/a/img_00001.jpg").read_bytes())[:2] == (32, 32)
    assert is_dumped(video, tmp_path / "f", small) == DumpResult("whole")
    video.path.write_bytes(video.path.read_bytes() + b"more")
    assert is_dumped(video, tmp_path / "f", small) is None


def test_flow_is_one_less_and_is_kept_by_a_run_without(tmp_path: Path) -> None:
    video = _sample(make_videos(tmp_path / "v", ["a.mp4"]))
    flow = OPTIONS._replace(flow=True)
    _dump(video, tmp_path / "f", flow)
    for prefix, count in (("img", FRAMES), ("flow_x", FRAMES - 1), ("flow_y", FRAMES - 1)):
        names = sorted(file.name for file in (tmp_path / "f/a").glob(f"{prefix}_*.jpg"))
        assert names == [f"{prefix}_{number:05d}.jpg" for number in range(1, count + 1)]
    picture = simplejpeg.decode_jpeg((tmp_path / "f/a/flow_x_00007.jpg").read_bytes(), colorspace="GRAY")
    assert picture.shape == (SIDE, SIDE, 1)
    assert 64 < picture.mean() < 124  # clip 0 pans to the left by a few pixels
    assert is_dumped(video, tmp_path / "f", flow) == DumpResult("whole")
    assert is_dumped(video, tmp_path / "f", OPTIONS) == DumpResult("whole")
    _dump(video, tmp_path / "g")
    assert is_dumped(video, tmp_path / "g", flow) is None


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    video = _sample(make_videos(tmp_path / "v", ["a.mp4"]))
    (tmp_path / "f/a").mkdir(parents=True)
    (tmp_path / "f/a/img_00001.jpg").write_bytes(b"mine")
    result = _dump(video, tmp_path / "f")
    assert result.kind == "broken"
    assert "did not make" in result.reason
    assert (tmp_path / "f/a/img_00001.jpg").read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_no_fault_of_the_video(tmp_path: Path) -> None:
    video = _sample(make_videos(tmp_path / "v", ["class/a.mp4"]))
    (tmp_path / "f").mkdir()
    (tmp_path / "f/class").touch()
    assert _dump(video, tmp_path / "f").kind == "unwritable"


@needs_shared
@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("h264_plain.mp4", "whole", ""),
        ("fragmented_no_nb_frames.mp4", "whole", ""),
        ("one_frame.mp4", "whole", ""),
        ("truncated_faststart.mp4", "truncated", "8 frames decoded of 88 (Invalid data"),
        ("bitflips.mp4", "broken", "41 frames decoded of 88, then a fault in the middle"),
        ("truncated_no_moov.mp4", "broken", "can't be opened as a video"),
        ("empty_0byte.mp4", "broken", "can't be opened as a video"),
        ("audio_only.m4a", "broken", "holds no video stream"),
    ],
)
def test_whole_truncated_and_broken(tmp_path: Path, name: str, kind: str, reason: str) -> None:
    video = _sample(MADE / name)
    result = _dump(video, tmp_path)
    assert result.kind == kind
    assert result.reason.startswith(reason)
    assert is_dumped(video, tmp_path, OPTIONS) == (None if kind == "broken" else result)
    assert (tmp_path / video.folder).exists() == (kind != "broken")
    assert list((tmp_path / ".dumping").iterdir()) == []


@needs_shared
def test_rotation_tags_are_applied(tmp_path: Path) -> None:
    for name in ("h264_plain.mp4", "rotated90_tag.mp4"):
        _dump(_sample(MADE / name), tmp_path)
    plain, turned = (
        simplejpeg.decode_jpeg((tmp_path / name / "img_00005.jpg").read_bytes()).astype(int)
        for name in ("h264_plain", "rotated90_tag")
    )
    assert np.abs(np.rot90(plain, 1) - turned).mean() < 2.0
