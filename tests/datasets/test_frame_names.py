"""What frames are called: found out, or given."""

from pathlib import Path

import pytest

from datasets.broken_video import BrokenVideo
from datasets.frame_names import FrameNames, check_template, find_frame_names
from utils.errors import UserError


def folder_of(folder: Path, names: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(
    "template",
    [
        *("img_{:05d}.jpg", "image_{:05d}.jpg", "{:05d}.jpg", "{:06d}.jpg", "frame{:d}.jpg", "img_{:05d}.jpeg"),
        *("v2_{:03d}.png", "IMG_{:04d}.JPG", "a{{b}}+_{:05d}.jpg"),
    ],
)
def test_names_are_read_off_a_folder(tmp_path: Path, template: str, first: int) -> None:
    names = [template.format(first + frame) for frame in range(12)]
    folder = folder_of(tmp_path, [*names, "flow_x_00001.jpg", "flow_y_00001.jpg", "thumb_001.jpg", "notes.txt"])
    found = find_frame_names(folder)
    assert found == FrameNames(template, first)
    assert [found.file(index) for index in range(12)] == names
    assert found.count(folder) == 12


def test_numbers_that_outgrow_their_padding_belong_to_the_same_names(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [f"img_{number:02d}.jpg" for number in range(1, 121)])
    found = find_frame_names(folder)
    assert found == FrameNames("img_{:02d}.jpg", 1)
    assert found.count(folder) == 120


def test_a_given_template_settles_all_but_the_first_number(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["a_0.jpg", "a_1.jpg", "b_00001.jpg"])
    assert find_frame_names(folder, template="a_{:d}.jpg") == FrameNames("a_{:d}.jpg", 0)
    assert find_frame_names(folder, template="b_{:05d}.jpg") == FrameNames("b_{:05d}.jpg", 1)


def test_flow_counts_its_x_frames(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [f"flow_{axis}_{n:05d}.jpg" for axis in "xy" for n in (1, 2, 3)] + ["img_00000.jpg"])
    found = find_frame_names(folder, modality="Flow")
    assert found.first == 1
    assert [found.file(1, axis=axis) for axis in "xy"] == ["flow_x_00002.jpg", "flow_y_00002.jpg"]
    assert found.count(folder) == 3


def test_folders_without_frames_are_broken(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, ["readme.txt", "flow_x_00001.jpg"])
    with pytest.raises(BrokenVideo, match="no numbered pictures"):
        find_frame_names(folder)
    with pytest.raises(BrokenVideo, match=r"no file is called like img_\{:05d\}\.jpg"):
        find_frame_names(folder, template="img_{:05d}.jpg")
    with pytest.raises(BrokenVideo, match="nowhere: No such file"):
        find_frame_names(tmp_path / "nowhere")
    with pytest.raises(BrokenVideo, match=r"readme\.txt: Not a directory"):
        FrameNames("img_{:05d}.jpg", 1).count(folder / "readme.txt")


@pytest.mark.parametrize(
    "template", ["img.jpg", "img_%05d.jpg", "{:05d}_{:d}.jpg", "{name}.jpg", "{0[1]}", "{0.x}", "{"]
)
def test_a_template_without_one_place_for_the_number_is_refused(template: str) -> None:
    with pytest.raises(UserError, match="needs one place for the number"):
        check_template(template, modality="RGB")


def test_a_template_of_flow_needs_a_place_for_the_axis() -> None:
    assert check_template("{axis}_{:05d}.jpg", modality="Flow") == "{axis}_{:05d}.jpg"
    assert check_template("flow_{}_{:05d}.jpg", modality="Flow") == "flow_{axis}_{:05d}.jpg"
    with pytest.raises(UserError, match=r"needs \{axis\}"):
        check_template("flow_{:05d}.jpg", modality="Flow")
