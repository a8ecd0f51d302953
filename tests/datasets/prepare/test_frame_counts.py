from pathlib import Path

import pytest

from datasets.prepare.frame_counts import FrameFolders, count_frames
from tests.datasets.prepare.dumped_folders import make_dumped_folders


def test_the_marker_counts_where_there_is_one(tmp_path: Path) -> None:
    make_dumped_folders(tmp_path, ["a"], num_frames=30)
    assert count_frames(tmp_path / "a") == 30
    assert count_frames(tmp_path / "a", modality="Flow") == 29


@pytest.mark.parametrize("template", ["img_{:05d}.jpg", "image_{:05d}.jpg", "{:06d}.jpg"])
def test_folders_of_other_tools_are_counted_by_names(tmp_path: Path, template: str) -> None:
    for number in range(1, 13):
        (tmp_path / template.format(number)).touch()
    for number in range(1, 12):
        (tmp_path / f"flow_x_{number:05d}.jpg").touch()
        (tmp_path / f"flow_y_{number:05d}.jpg").touch()
    (tmp_path / "thumbs.db").touch()
    assert count_frames(tmp_path) == 12
    assert count_frames(tmp_path, modality="Flow") == 11


def test_no_frames_count_nothing(tmp_path: Path) -> None:
    assert count_frames(tmp_path) == 0
    assert count_frames(tmp_path / "nowhere") == 0


def test_the_first_folder_that_is_there(tmp_path: Path) -> None:
    make_dumped_folders(tmp_path, ["class/a", "b"])
    folders = FrameFolders(tmp_path)
    assert folders.first_of(["class/a", "a"]) == "class/a"
    assert folders.first_of(["class/b", "b"]) == "b"
    assert folders.first_of(["class/c", "c"]) == "class/c"
    assert folders.inside() == {"class", "b"}
