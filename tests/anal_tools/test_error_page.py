"""The page of errors: frames of folders, flow, pictures and videos, and what is said where there are none."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anal_tools.clips import HEIGHT
from anal_tools.error_page import open_source, sheet_and_clip, with_frames, write_page
from anal_tools.tables import top_errors
from tests.anal_tools.score_files import NAMES, results
from tests.datasets.test_video_source import write_video
from tests.frame_folders import LEFT, RIGHT, STEP, make_flow_folder, make_frame_folders


def picture_of(sheet: str) -> np.ndarray:
    head, data = sheet.split(",", 1)
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))).astype(int)


def thumbnails(root: Path, video: str, num_frames: int, *, template: str = "") -> list[np.ndarray]:
    """The frames of a sheet, each (H, W, 3)."""
    sheet, _, width = sheet_and_clip(open_source(root, video, template), video, num_frames)
    picture = picture_of(sheet)
    assert picture.shape[0] == HEIGHT
    assert width == 149  # 64 x 48 pixels become 149 x 112
    return np.split(picture, picture.shape[1] // width, axis=1)


@pytest.mark.parametrize(
    ("num_frames", "shown"), [(20, [0, 3, 5, 8, 11, 14, 16, 19]), (8, list(range(8))), (3, [0, 1, 2]), (0, None)]
)
def test_a_sheet_has_frames_from_the_first_to_the_last(tmp_path: Path, num_frames: int, shown: list[int]) -> None:
    make_frame_folders(tmp_path, ["a folder/v"], frames=20)
    frames = thumbnails(tmp_path, "a folder/v", num_frames)
    assert [round(frame[..., 1].mean() / STEP) for frame in frames] == (shown or [0, 3, 5, 8, 11, 14, 16, 19])
    assert abs(frames[0][:, :60, 2].mean() - LEFT) < 5
    assert abs(frames[0][:, -60:, 2].mean() - RIGHT) < 5


@pytest.mark.parametrize("template", ["", "flow_{axis}_{:05d}.jpg"])
def test_flow_shows_as_red_and_green(tmp_path: Path, template: str) -> None:
    make_flow_folder(tmp_path / "v", frames=5)
    frames = thumbnails(tmp_path, "v", 5, template=template)
    assert len(frames) == 5
    for number, frame in enumerate(frames):
        assert abs(frame[..., 0].mean() - STEP * number) < 8
        assert abs(frame[..., 1].mean() - (255 - STEP * number)) < 8


def test_a_picture_shows_beside_the_flow_of_its_folder(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["v"], frames=5)
    make_flow_folder(tmp_path / "flow", frames=5)
    for path in (tmp_path / "flow").iterdir():
        path.rename(tmp_path / "v" / path.name)
    assert [round(frame[..., 1].mean() / STEP) for frame in thumbnails(tmp_path, "v", 5)] == [0, 1, 2, 3, 4]


def test_single_pictures_and_video_files_show_too(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["v"], frames=1)
    assert len(thumbnails(tmp_path, "v/img_00001.jpg", 1)) == 1
    write_video(tmp_path / "v.avi", frames=12)
    sheet, clip, _ = sheet_and_clip(open_source(tmp_path, "v.avi", ""), "v.avi", 0)
    assert picture_of(sheet).shape[0] == HEIGHT
    assert clip is not None


def page(folder: Path, **changes: object) -> str:
    """The page of the seven videos' four errors; only videos 1 and 2 have frames."""
    make_frame_folders(folder, ["a folder/video 1", "a folder/video 2"], frames=9)
    (folder / "a folder/video 4").mkdir()
    ours = results(**changes)
    shown = with_frames(top_errors(ours), ours, folder)
    write_page(folder / "errors.html", shown, summary={"protocol": ours.protocol, "top-1": "42.86 %"})
    return (folder / "errors.html").read_text(encoding="utf-8")


def test_a_page_has_every_error_with_frames_or_why_not(tmp_path: Path) -> None:
    text = page(tmp_path)
    assert re.findall(r'id="error-(\d)"', text) == ["1", "2", "3", "4"]
    assert re.findall(r'class="path">([^<]*)', text) == [f"a folder/video {row}" for row in (2, 1, 4, 5)]
    assert text.count("data:image/jpeg;base64,") == 2
    reasons = re.findall(r"frames not found: ([^<]*)", text)
    assert "a folder/video 4: no numbered pictures" in reasons[0]
    assert "a folder/video 5" in reasons[1]
    assert "96.5 %, but it is" in text
    assert "42.86 %" in text
    assert not re.search(r'(src|href)="(?!data:)', text)  # one file, nothing fetched


def test_names_of_classes_are_text_and_not_markup(tmp_path: Path) -> None:
    text = page(tmp_path, class_names=np.array(["<script>alert(1)</script>", *NAMES[1:]]))
    assert "<script>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_page_without_errors_says_so(tmp_path: Path) -> None:
    write_page(tmp_path / "errors.html", [], summary={})
    text = (tmp_path / "errors.html").read_text(encoding="utf-8")
    assert "There are none: every video was recognised." in text
