"""One report on lists and frames, and lists without what it found."""

import time
from collections.abc import Iterable
from pathlib import Path

import lmdb
import pytest

from datasets.list_file import read_list
from datasets.packed_file import ABOUT, PackedVideo, video_key
from datasets.prepare.check_lists import main
from tests.frame_folders import make_flow_folder, make_frame_folders, write_list
from tests.shared_material import SHARED, needs_shared
from utils.errors import UserError


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    make_frame_folders(tmp_path / "frames", [f"run/v_run_g0{group}_c0{clip}" for group in (1, 2) for clip in (1, 2)], 6)
    write_list(tmp_path / "classInd.txt", ["1 run", "2 walk"])
    return tmp_path / "frames"


def report(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, list[str]]:
    status = main([str(word) for word in words])
    return status, [line.strip() for line in capsys.readouterr().out.splitlines()]


def test_everything_wrong_is_in_one_report(tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (frames / "run/v_run_g01_c02/img_00003.jpg").unlink()
    (frames / "run/v_run_g02_c02/img_00006.jpg").unlink()
    train = write_list(
        tmp_path / "train.txt",
        [
            "run/v_run_g01_c01 6 0",
            "run/v_run_g01_c02 6 0",
            "run/v_run_g02_c02 6 0",
            "run/nowhere 6 0",
            "run/v_run_g01_c01 6 0",
            "run/v_run_g02_c01 6 2",
            "../out 6 0",
            "run/no number 0",
            "run/v_run_g02_c01 6 0",
        ],
    )
    val = write_list(tmp_path / "val.txt", ["run/v_run_g02_c01 6 0"])
    status, lines = report(capsys, frames, train, val, "--report", tmp_path / "report.txt")
    assert status == 1
    assert lines == [
        f"{train}: 6 videos of 1 of 2 classes; a class has 0 (walk) to 6 (run), in the middle 3",
        f"{val}: 1 videos of 1 of 2 classes; a class has 0 (walk) to 1 (run), in the middle 0.5",
        "faulty lines: 3",
        f"{train}:6: got label 2, num_class is 2: labels run from 0 to 1; raise common.model.num_class, or subtract 1 "
        "from every label of a list that counts from 1",
        f"{train}:7: got the path '../out', needs one that stays below the root: no leading '/', no '..'",
        f"{train}:8: got num_frames 'number', needs a whole number of at least 1",
        "gaps: 1",
        f"{train}:2: run/v_run_g01_c02: of pictures 1 to 6, 1 are missing: 3",
        "too few frames: 1",
        f"{train}:3: run/v_run_g02_c02: the list says 6 frames, 5 are there",
        "missing: 1",
        f"{train}:4: run/nowhere: no such folder below {frames}",
        "listed twice: 1",
        f"{train}:5: run/v_run_g01_c01: stands in line 1 already",
        "empty classes: 2",
        f"{train}: 1 of 2 classes have no video: 1 (walk)",
        f"{val}: 1 of 2 classes have no video: 1 (walk)",
        "in both lists: 1",
        f"{train}:9: run/v_run_g02_c01: is in {val}:1 too",
        "groups in both lists: 1",
        f"{train}:3: group v_run_g02: 2 videos here, 1 in {val} (line 1 ...): nearly the same pictures on both sides",
        "11 findings",
    ]
    assert [line.strip() for line in (tmp_path / "report.txt").read_text().splitlines()] == lines[2:-1]


def test_the_corrected_lists_have_nothing_but_the_torn_group_left(
    tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (frames / "run/v_run_g02_c02/img_00006.jpg").unlink()
    lines = ["run/v_run_g01_c01 6 0", "x 1", "run/v_run_g02_c02 6 1", "run/v_run_g02_c01 6 0", "gone 6 0"]
    train = write_list(tmp_path / "train.txt", [*lines, "run/v_run_g02_c02 6 1"])
    val = write_list(tmp_path / "val.txt", ["run/v_run_g02_c01 6 0"])
    clean = tmp_path / "clean"
    assert report(capsys, frames, train, val, "--write-clean", clean)[0] == 1
    assert (clean / "train.txt").read_text() == "run/v_run_g01_c01 6 0\nrun/v_run_g02_c02 5 1\n"
    assert (clean / "val.txt").read_text() == val.read_text()
    assert len(read_list(clean / "train.txt", num_class=2)) == 2
    lines = report(capsys, frames, clean / "train.txt", clean / "val.txt", "--num-class", 2)[1]
    assert [line for line in lines if line.endswith(": 1")] == ["empty classes: 1", "groups in both lists: 1"]
    with pytest.raises(UserError, match="the list's own folder"):
        main([str(frames), str(train), "--write-clean", str(tmp_path)])


def test_sound_lists_have_no_findings(tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = write_list(tmp_path / "train.txt", ["run/v_run_g01_c01 6 0", "run/v_run_g01_c02 5 1"])
    status, lines = report(capsys, frames, train)
    assert (status, lines[1:]) == (0, ["nothing found"])


def test_links_that_leave_the_root_are_found(tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_frame_folders(tmp_path / "elsewhere", ["v"], 6)
    (frames / "out").symlink_to(tmp_path / "elsewhere/v")
    (frames / "in").symlink_to(frames / "run/v_run_g01_c01")
    train = write_list(tmp_path / "train.txt", ["in 6 0", "out 6 1"])
    status, lines = report(capsys, frames, train)
    assert status == 1
    assert lines[1:3] == [
        "outside the root: 1",
        f"{train}:2: {frames}/out: leads to {tmp_path}/elsewhere/v, outside the root {frames}; "
        "move it, or set common.source.outside_root",
    ]
    assert report(capsys, frames, train, "--outside-root")[0] == 0


def test_flow_needs_both_axes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_flow_folder(tmp_path / "flow/a", frames=4)
    make_flow_folder(tmp_path / "flow/b", frames=4)
    (tmp_path / "flow/b/flow_y_00002.jpg").unlink()
    train = write_list(tmp_path / "train.txt", ["a 4 0", "b 4 0"])
    lines = report(capsys, tmp_path / "flow", train, "--modality", "Flow", "--num-class", 1)[1]
    assert lines[1:3] == ["gaps: 1", f"{train}:2: b: of pictures 1 to 4, 1 are missing: 2"]


@needs_shared
def test_lists_of_video_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = SHARED / "data/weizmann"
    status, lines = report(capsys, place / "videos", place / "train.txt", place / "val.txt")
    assert (status, lines[-1]) == (0, "nothing found")
    train = write_list(tmp_path / "train.txt", ["bend/daria_bend.mp4 0", "bend/nobody.mp4 0"])
    status, lines = report(capsys, place / "videos", train, "--num-class", 1)
    assert lines[1:3] == ["missing: 1", f"{train}:2: bend/nobody.mp4: no such file below {place}/videos"]


def packed_without_pictures(file: Path, videos: Iterable[PackedVideo]) -> Path:
    """A packed file's records, which is all that the check of a list reads."""
    environment = lmdb.open(str(file), subdir=False, map_size=1 << 30, sync=False)
    with environment, environment.begin(write=True) as transaction:
        transaction.put(ABOUT, b'{"format": 1, "modality": "RGB", "complete": true, "identity": "x"}')
        for video in videos:
            record = f'{{"path": "{video.path}", "num_frames": {video.num_frames}, "mtime_ns": 0}}'
            transaction.put(video_key(video.path), record.encode())
    return file


@pytest.mark.slow
def test_a_list_of_250_000_packed_videos_takes_less_than_ten_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"class {number % 400:03d}/video_{number:06d}_000010_000020" for number in range(250_000)]
    packed = packed_without_pictures(tmp_path / "train.lmdb", (PackedVideo(path, 300, 0) for path in paths))
    lines = [f"{path} 300 {number % 400}" for number, path in enumerate(paths)]
    lines[1000] = lines[1000].replace(" 300 ", " 301 ")
    lines[2000] = lines[2000].replace("video_", "vidio_")
    train = write_list(tmp_path / "train.txt", lines[:230_000])
    val = write_list(tmp_path / "val.txt", lines[230_000:])
    started = time.process_time()  # the machine may be busy
    printed = report(capsys, packed, train, val, "--num-class", 400)[1]
    seconds = time.process_time() - started
    assert [line for line in printed if line.endswith(": 1")] == ["too few frames: 1", "missing: 1"]
    assert seconds < 10.0
