from pathlib import Path

import pytest

from datasets.prepare.find_videos import find_videos, without_suffix
from utils.errors import UserError


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_finds_videos_by_suffix_with_their_sub_folders(tmp_path: Path) -> None:
    _touch(tmp_path, "b/two.AVI", "a.mp4", "b/c d/v.1.webm", "notes.txt", ".hidden.mp4", ".cache/x.mp4", "b/._two.avi")
    found = find_videos(tmp_path)
    assert [(video.name, video.folder) for video in found.videos] == [
        ("a.mp4", "a"),
        ("b/c d/v.1.webm", "b/c d/v.1"),
        ("b/two.AVI", "b/two"),
    ]
    assert found.others == 1
    assert all(video.path.is_absolute() and video.fault is None for video in found.videos)


def test_links_are_followed_and_circles_end(tmp_path: Path) -> None:
    _touch(tmp_path, "elsewhere/a.mp4", "videos/b.mp4")
    (tmp_path / "videos/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/circle").symlink_to(tmp_path / "videos")
    assert [video.name for video in find_videos(tmp_path / "videos").videos] == ["b.mp4", "link/a.mp4"]


def test_a_single_file_is_a_video_whatever_its_suffix(tmp_path: Path) -> None:
    _touch(tmp_path, "clip.dat", "clip.mp4")
    assert find_videos(tmp_path / "clip.dat").videos[0].folder == "clip.dat"
    assert find_videos(tmp_path / "clip.mp4").videos[0].folder == "clip"


def test_clashes_are_named_at_both_ends(tmp_path: Path) -> None:
    _touch(tmp_path, "a.mp4", "a.avi", "bend.mp4", "bend/x.mp4", "fine.mp4", "line\nbreak.mp4", "space .mp4")
    faults = {video.name: video.fault for video in find_videos(tmp_path).videos}
    assert "a.avi" in str(faults["a.mp4"])
    assert "a.mp4" in str(faults["a.avi"])
    assert "bend/x.mp4" in str(faults["bend.mp4"])
    assert faults["line\nbreak.mp4"]
    assert faults["space .mp4"]
    assert faults["fine.mp4"] is None
    assert faults["bend/x.mp4"] is None


def test_no_videos_is_the_users_mistake(tmp_path: Path) -> None:
    _touch(tmp_path, "notes.txt")
    with pytest.raises(UserError, match="holds 1 files, none a video"):
        find_videos(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        find_videos(tmp_path / "nowhere")


def test_only_suffixes_of_videos_are_left_out() -> None:
    assert without_suffix("bend/daria_bend.mp4") == "bend/daria_bend"
    assert without_suffix("v_id.with.dots") == "v_id.with.dots"
