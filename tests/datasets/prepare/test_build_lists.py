from pathlib import Path

import pytest

from datasets.list_file import read_class_names, read_list
from datasets.prepare.build_lists import main
from tests.datasets.prepare.dumped_folders import make_dumped_folders
from tests.shared_material import SHARED, needs_shared
from utils.errors import UserError

UCF101 = SHARED / "labels" / "ucf101"


@needs_shared
def test_ucf101_from_its_frames_to_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    official = [(UCF101 / f"{side}list01.txt").read_text().split("\n") for side in ("train", "test")]
    videos = [line.split()[0].removesuffix(".avi") for lines in official for line in lines if line.strip()]
    assert len(videos) == 13320
    frames = make_dumped_folders(tmp_path / "frames", videos[1:], num_frames=29)
    out = tmp_path / "lists"
    assert main(["ucf101", "--frames", str(frames), "--labels", str(UCF101), "--out", str(out)]) == 0
    train = read_list(out / "train.txt", num_class=101)
    assert len(train) == 9536
    assert len(read_list(out / "val.txt", num_class=101)) == 3783
    assert train[0].path == "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c02"
    assert train[0].num_frames == 29
    assert read_class_names(out / "train.txt", 101)[100] == "YoYo"
    assert (out / "missing.txt").read_text() == "ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01\n"
    readme = (out / "README").read_text()
    assert "train.txt: 9536 of 9537 videos" in readme
    assert "python -m datasets.prepare.build_lists ucf101 --frames" in readme
    assert "missing.txt: 1 videos without frames were left out" in capsys.readouterr().out


def test_a_folder_per_class_and_flow(tmp_path: Path) -> None:
    frames = make_dumped_folders(tmp_path / "f", [f"class {c}/v {n}" for c in "ab" for n in range(5)])
    for modality, count in (("RGB", 30), ("Flow", 29)):
        main(["folder", "--frames", str(frames), "--out", str(tmp_path / "l"), "--modality", modality])
        assert (tmp_path / "l/classInd.txt").read_text() == "1 class a\n2 class b\n"
        train = read_list(tmp_path / "l/train.txt", num_class=2)
        val = read_list(tmp_path / "l/val.txt", num_class=2)
        assert (len(train), len(val)) == (8, 2)
        assert sorted(val.labels) == [0, 1]
        assert val[0].path.startswith("class a/v ")
        assert val[0].num_frames == count


def test_missing_txt_of_an_earlier_call_goes(tmp_path: Path) -> None:
    (tmp_path / "ready.txt").write_text("a/x.mp4 0\nb/y.mp4 1\n")
    ready = ["--train-list", str(tmp_path / "ready.txt"), "--val-list", str(tmp_path / "ready.txt")]
    words = ["folder", "--frames", str(tmp_path / "f"), "--out", str(tmp_path / "l"), *ready]
    make_dumped_folders(tmp_path / "f", ["a/x"])
    main(words)
    assert (tmp_path / "l/missing.txt").read_text() == "b/y\nb/y\n"
    make_dumped_folders(tmp_path / "f", ["b/y"])
    main(words)
    assert not (tmp_path / "l/missing.txt").exists()
    assert (tmp_path / "l/val.txt").read_text() == "a/x 30 0\nb/y 30 1\n"


def test_labels_of_one_side_leave_the_other_list(tmp_path: Path) -> None:
    frames = make_dumped_folders(tmp_path / "f", ["x_000001_000011", "y_000001_000011"])
    for side, video in (("train", "x"), ("val", "y")):
        csv = tmp_path / f"{side}.csv"
        csv.write_text(f"label,youtube_id,time_start,time_end,split\nrun,{video},1,11,{side}\n")
        main(["kinetics", "--frames", str(frames), "--labels", str(csv), "--out", str(tmp_path / "l")])
        assert (tmp_path / f"l/{side}.txt").read_text() == f"{video}_000001_000011 30 0\n"
    assert (tmp_path / "l/train.txt").exists()
    assert "train.txt: left as it is" in (tmp_path / "l/README").read_text()


def test_mistakes_are_the_users(tmp_path: Path) -> None:
    make_dumped_folders(tmp_path / "f", ["elsewhere"])
    (tmp_path / "ready.txt").write_text("a/x.mp4 0\n")
    folder = ["folder", "--frames", str(tmp_path / "f"), "--out", str(tmp_path / "l")]
    ready = str(tmp_path / "ready.txt")
    for words, message in (
        (["folder", "--frames", str(tmp_path / "no"), "--out", "l"], "no such folder"),
        ([*folder, "--train-list", ready], "needs both or none"),
        ([*folder, "--labels", ready], "needs these too"),
        ([*folder, "--train-list", ready, "--val-list", ready], "frames of none of the 2 videos, e.g. not of a/x"),
        (folder, "needs a folder per class"),
    ):
        with pytest.raises(UserError, match=message):
            main(words)
    assert not (tmp_path / "l").exists()


@pytest.mark.parametrize(
    "words", [["--val-fraction", "1.5"], ["--group-regex", "("], ["--split", "1"], ["--modality", "flow"]]
)
def test_mistakes_on_the_command_line(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["folder", "--frames", str(tmp_path), "--out", str(tmp_path), *words])
    assert stopped.value.code == 2
