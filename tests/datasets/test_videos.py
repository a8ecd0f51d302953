"""Lists and roots as the config names them, read and checked before anything is written."""

from pathlib import Path

import pytest

from datasets.frame_sources import FolderSource, ImageFileSource, VideoSource
from datasets.videos import list_findings, read_videos, video_findings
from tests.datasets.folder_config import NUM_FRAMES, folder_config
from tests.frame_folders import make_flow_folder, write_list
from utils.errors import UserError


def test_a_folder_list_is_read_with_its_frame_names(tmp_path: Path) -> None:
    write_list(tmp_path / "classInd.txt", ["1 run", "2 walk", "3 jump high"])
    videos = read_videos(folder_config(tmp_path), "train", sampling="segments")
    assert len(videos.videos) == 10
    assert videos.class_names == ["run", "walk", "jump high"]
    assert isinstance(videos.source, FolderSource)
    assert videos.description == (
        f"train: 10 videos of 3 classes from {tmp_path}/list.txt; "
        f"frames {tmp_path}/frames/<video>/img_{{:05d}}.jpg, counted from 1"
    )


def test_missing_root_and_list_are_named_by_key_at_once(tmp_path: Path) -> None:
    config = folder_config(tmp_path, val_root="data/nowhere", val_source="data/nothing.txt")
    with pytest.raises(UserError) as error:
        read_videos(config, "val", sampling="segments")
    assert [line.split(",")[0] for line in error.value.lines] == [
        "common.val_root: got 'data/nowhere'",
        "common.val_source: got 'data/nothing.txt'",
    ]


def test_a_label_beyond_num_class_is_refused(tmp_path: Path) -> None:
    config = folder_config(tmp_path, model={"num_class": 2})
    with pytest.raises(UserError, match=r"list\.txt:3: got label 2, num_class is 2"):
        read_videos(config, "train", sampling="segments")


def test_a_first_folder_without_frames_is_named(tmp_path: Path) -> None:
    config = folder_config(tmp_path, image_tmpl="frame_{:d}.jpg")
    with pytest.raises(
        UserError, match=r"list\.txt:1: v 0: .* no file is called like frame_\{:d\}\.jpg; check the root"
    ):
        read_videos(config, "train", sampling="segments")


def test_sources_follow_config_and_method(tmp_path: Path) -> None:
    video = read_videos(folder_config(tmp_path, source={"type": "video"}), "train", sampling="clip")
    assert isinstance(video.source, VideoSource)
    image = read_videos(folder_config(tmp_path), "train", sampling="image")
    assert isinstance(image.source, ImageFileSource)
    make_flow_folder(tmp_path / "flow/v", frames=3)
    files = {"train_root": str(tmp_path / "flow"), "train_source": str(write_list(tmp_path / "flow.txt", ["v 3 0"]))}
    flow = read_videos(folder_config(tmp_path, model={"modality": "Flow"}, **files), "train", sampling="segments")
    assert isinstance(flow.source, FolderSource)
    assert flow.source.modality == "Flow"


def test_flow_out_of_video_files_is_refused(tmp_path: Path) -> None:
    config = folder_config(tmp_path, model={"modality": "Flow"}, source={"type": "video"})
    with pytest.raises(UserError, match="Flow needs folders"):
        read_videos(config, "train", sampling="segments")


def test_findings_name_missing_folders_and_missing_frames(tmp_path: Path) -> None:
    videos = read_videos(folder_config(tmp_path), "train", sampling="segments")
    assert video_findings(videos) == []
    (tmp_path / "frames/v 3/img_00012.jpg").unlink()
    (tmp_path / "frames/v 5").rename(tmp_path / "frames/other")
    assert [str(finding) for finding in video_findings(videos)] == [
        f"{tmp_path}/list.txt:4: v 3: the list says {NUM_FRAMES} frames, {NUM_FRAMES - 1} are there",
        f"{tmp_path}/list.txt:6: v 5: no such folder below {tmp_path}/frames",
    ]


def test_findings_keep_the_order_of_a_long_list(tmp_path: Path) -> None:
    config = folder_config(tmp_path)
    missing = {3: "x" * 300, 70: "w 70", 199: "w 199"}
    write_list(tmp_path / "list.txt", [f"{missing.get(n, f'v {n % 10}')} 12 0" for n in range(200)])
    findings = video_findings(read_videos(config, "train", sampling="segments"))
    assert [(finding.line, finding.kind) for finding in findings] == [(n + 1, "missing") for n in missing]


def test_lists_of_both_sides_are_compared(tmp_path: Path) -> None:
    config = folder_config(tmp_path, val_source=str(tmp_path / "val.txt"))
    write_list(tmp_path / "val.txt", ["v 3 12 0", "v 3 12 0"])
    sides = [read_videos(config, split, sampling="segments") for split in ("train", "val")]
    assert [(str(finding), finding.severe) for finding in list_findings(*sides)] == [
        (f"{tmp_path}/val.txt:2: v 3: stands in line 1 already", False),
        (f"{tmp_path}/val.txt: 2 of 3 classes have no video: 1 (class 1), 2 (class 2)", False),
        (f"{tmp_path}/list.txt:4: v 3: is in {tmp_path}/val.txt:2 too", False),
    ]
