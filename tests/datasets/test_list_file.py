"""List files: what is tolerated, and what is reported, line by line."""

import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from datasets.list_file import VideoRecord, read_class_names, read_list
from utils.errors import UserError


def written(folder: Path, content: bytes, name: str = "train.txt") -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def faults(folder: Path, content: bytes, **options: bool) -> tuple[str, ...]:
    file = written(folder, content)
    with pytest.raises(UserError) as error:
        read_list(file, num_class=3, **options)
    return tuple(line.removeprefix(f"{file}:") for line in error.value.lines)


def test_spaces_tabs_crlf_bom_and_blank_lines(tmp_path: Path) -> None:
    content = "\ufeffplain 10 0\r\n\r\n  v with  two spaces 20 1 \nüñí/路径\t30\t2\n\n\nplain 10 0".encode()
    videos = read_list(written(tmp_path, content), num_class=3)
    assert list(videos) == [
        VideoRecord("plain", 10, 0, 1),
        VideoRecord("v with  two spaces", 20, 1, 3),
        VideoRecord("üñí/路径", 30, 2, 4),
        VideoRecord("plain", 10, 0, 7),  # a video that is listed twice counts twice
    ]
    assert videos.labels.tolist() == [0, 1, 2, 0]
    assert videos.where(2) == f"{tmp_path}/train.txt:4: üñí/路径"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"video.mp4", "got 'video.mp4', needs: path num_frames label"),
        (b"10 0", "got '10 0', needs: path num_frames label"),
        (b"v 10 one", "got the label 'one', needs a whole number from 0 to 2"),
        (b"v 10 1.0", "got the label '1.0', needs a whole number from 0 to 2"),
        (b"v 10 --1", "got the label '--1', needs a whole number from 0 to 2"),
        (b"v ten 1", "got num_frames 'ten', needs a whole number of at least 1"),
        (b"v 0 1", "got num_frames '0', needs a whole number of at least 1"),
        (b"v -3 1", "got num_frames '-3', needs a whole number of at least 1"),
        (b"v 99999999999 1", "got num_frames '99999999999', needs a whole number of at least 1"),
        (b"v 10 " + b"9" * 5000, f"got the label '{'9' * 100}'..., needs a whole number from 0 to 2"),
        (b"/v 10 0", "got the path '/v', needs one that stays below the root: no leading '/', no '..'"),
        (b"a/../../v 10 0", "got the path 'a/../../v', needs one that stays below the root: no leading '/', no '..'"),
        (b"a\0b 10 0", "got a path with a NUL byte, needs a plain path below the root"),
        (b"v\xff 10 0", "got bytes that are not UTF-8, needs UTF-8 text: b'v\\xff 10 0'"),
    ],
)
def test_a_faulty_line_is_quoted_with_what_it_needs(tmp_path: Path, line: bytes, expected: str) -> None:
    assert faults(tmp_path, b"v 10 0\n" + line + b"\n") == (f"2: {expected}",)


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_outside_num_class_says_how_labels_count(tmp_path: Path, label: int) -> None:
    (line,) = faults(tmp_path, f"v 10 {label}\n".encode())
    assert line.startswith(f"1: got label {label}, num_class is 3: labels run from 0 to 2; ")
    assert "a list that counts from 1" in line


def test_two_dots_inside_a_name_are_fine(tmp_path: Path) -> None:
    assert read_list(written(tmp_path, b"a..b/c.. 10 0\n"), num_class=3)[0].path == "a..b/c.."


def test_all_faults_at_once_but_twenty_lines_at_most(tmp_path: Path) -> None:
    lines = faults(tmp_path, b"v 0 0\nv 1 0\n" * 50)
    assert len(lines) == 21
    assert lines[19].startswith("39: got num_frames '0'")
    assert lines[20] == " and 30 more lines like these"


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
def test_an_empty_list_is_refused(tmp_path: Path, content: bytes) -> None:
    assert "empty" in faults(tmp_path, content)[0]


def test_a_missing_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.txt: no such list file"):
        read_list(tmp_path / "nothing.txt", num_class=3)


def test_num_frames_may_be_absent_for_video_files(tmp_path: Path) -> None:
    file = written(tmp_path, b"a.mp4 1\nmy video.mp4 2\nb.mp4 30 0\n")
    videos = read_list(file, num_class=3, frames_required=False)
    assert [record[:3] for record in videos] == [("a.mp4", 0, 1), ("my video.mp4", 0, 2), ("b.mp4", 30, 0)]
    assert faults(tmp_path, b"a.mp4\n", frames_required=False) == ("1: got 'a.mp4', needs: path [num_frames] label",)


def test_a_million_lines_are_small_and_quick(tmp_path: Path) -> None:
    line = "class {}/video_{:07d} {} {}\n"
    text = "".join(line.format(i % 400, i, 100 + i % 200, i % 400) for i in range(1_000_000))
    file = written(tmp_path, text.encode())
    started = time.process_time()
    videos = read_list(file, num_class=400)
    assert time.process_time() - started < 2  # measured: 0.6 s
    pickled = pickle.dumps(videos)
    assert len(pickled) < 50_000_000
    copied = pickle.loads(pickled)
    assert copied[99_999] == VideoRecord("class 399/video_0099999", 299, 399, 100_000)
    assert copied[0] == VideoRecord("class 0/video_0000000", 100, 0, 1)
    assert np.array_equal(copied.labels, videos.labels)


@pytest.mark.parametrize("name", ["classInd.txt", "calssInd.txt"])
@pytest.mark.parametrize(
    "content",
    [
        "1 Apply Eye Makeup\n2 Archery\n3 Bowling\n",
        "2 Bowling\n0 Apply Eye Makeup\n1 Archery\n",
        "\ufeffApply Eye Makeup\r\nArchery\r\n\r\nBowling",
    ],
)
def test_class_names_count_from_one_from_zero_or_not(tmp_path: Path, name: str, content: str) -> None:
    written(tmp_path, content.encode(), name)
    names = read_class_names(tmp_path / "train.txt", 3)
    assert names == ["Apply Eye Makeup", "Archery", "Bowling"]


def test_class_names_are_made_up_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_class_names(tmp_path / "train.txt", 2) == ["class 0", "class 1"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"1 a\n2 b\n", "got 2 classes, common.model.num_class is 3"),
        (b"1 a\n1 b\n3 c\n", r"got classes \[1, 1, 3\], needs each number from 0 to 2, or 1 to 3"),
        (b"1 a\n2 b\xff\n3 c\n", "byte 7 is not UTF-8"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    written(tmp_path, content, "classInd.txt")
    with pytest.raises(UserError, match=expected):
        read_class_names(tmp_path / "train.txt", 3)
