import json
import re
from collections import Counter
from pathlib import Path

import pytest

from datasets.prepare.frame_counts import FrameFolders
from datasets.prepare.splits import ListedVideo, activitynet, hmdb51, kinetics, read_classes, ready_lists, ucf101
from tests.datasets.prepare.dumped_folders import make_dumped_folders
from tests.shared_material import SHARED, needs_shared
from utils.errors import UserError

LABELS = SHARED / "labels"
KINETICS_HEAD = "label,youtube_id,time_start,time_end,split\n"


@pytest.fixture
def nothing(tmp_path: Path) -> FrameFolders:
    return FrameFolders(tmp_path / "no frames")


@needs_shared
@pytest.mark.parametrize(("split", "train", "val"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_ucf101_has_the_published_counts(nothing: FrameFolders, split: int, train: int, val: int) -> None:
    lists = ucf101(LABELS / "ucf101", nothing, split=split)
    assert (len(lists.train), len(lists.val), len(lists.class_names)) == (train, val, 101)
    assert lists.class_names[0] == "ApplyEyeMakeup"
    assert lists.class_names[100] == "YoYo"
    assert set(Counter(video.label for video in lists.train)) == set(range(101))
    official = (LABELS / "ucf101" / f"trainlist0{split}.txt").read_text().split("\n")
    expected = [line.split() for line in official if line.strip()]
    assert lists.train == [ListedVideo(path.removesuffix(".avi"), int(number) - 1) for path, number in expected]
    assert not set(lists.train) & set(lists.val)


@needs_shared
@pytest.mark.parametrize("split", [1, 2, 3])
def test_hmdb51_has_70_and_30_of_each_class(nothing: FrameFolders, split: int) -> None:
    lists = hmdb51(LABELS / "hmdb51" / "testTrainMulti_7030_splits", nothing, split=split)
    assert lists.class_names == read_classes(LABELS / "misc" / "hmdb51.label_map.txt")
    assert (len(lists.train), len(lists.val)) == (3570, 1530)
    assert set(Counter(video.label for video in lists.train).values()) == {70}
    assert set(Counter(video.label for video in lists.val).values()) == {30}


@needs_shared
def test_kinetics_600_val(nothing: FrameFolders) -> None:
    lists = kinetics(LABELS / "kinetics" / "kinetics-600_val.csv", nothing)
    assert sorted(lists.class_names) == sorted(read_classes(LABELS / "kinetics" / "label_map_k600.txt"))
    assert lists.class_names == sorted(lists.class_names)
    assert lists.train == []
    lines = (LABELS / "kinetics" / "kinetics-600_val.csv").read_text().strip().split("\n")
    assert len(lists.val) == len(lines) - 1
    assert lists.val[0] == ListedVideo("abseiling/yq_M1PMw2hY_000038_000048", 0)


def test_kinetics_finds_frames_with_and_without_class_folders(tmp_path: Path) -> None:
    csv = tmp_path / "csv"
    csv.mkdir()
    (csv / "train.csv").write_text(KINETICS_HEAD + "air drumming,aaa,1,11,train\nzumba,bbb,2.0,12.0,train\n")
    (csv / "val.csv").write_text(KINETICS_HEAD + "zumba,ccc,3,13,validate\nzumba,-dd,4,14,val\n,eee,5,15,test\n")
    frames = make_dumped_folders(
        tmp_path / "f", ["air_drumming/aaa_000001_000011", "bbb_000002_000012", "zumba/ccc_000003_000013", "-dd"]
    )
    lists = kinetics(csv, FrameFolders(frames))
    assert lists.class_names == ["air drumming", "zumba"]
    assert lists.train == [("air_drumming/aaa_000001_000011", 0), ("bbb_000002_000012", 1)]
    assert lists.val == [("zumba/ccc_000003_000013", 1), ("-dd", 1)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label,youtube_id\na,b\n", "csv:1: no column time_start, time_end, split"),
        (KINETICS_HEAD + "a,b,1,11,train\na,c,soon,11,train\n", "csv:3: got .*soon.*needs times in seconds"),
        (KINETICS_HEAD + "a,b\n", "csv:2: got"),
        ("", "is empty"),
    ],
)
def test_faulty_kinetics_csv(tmp_path: Path, nothing: FrameFolders, text: str, message: str) -> None:
    (tmp_path / "k.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        kinetics(tmp_path / "k.csv", nothing)


def _database(tmp_path: Path, database: dict) -> Path:
    file = tmp_path / "activity_net.v1-3.min.json"
    file.write_text(json.dumps({"database": database}))
    return file


def test_activitynet_takes_the_longest_annotation(tmp_path: Path) -> None:
    def entry(subset: str, *annotations: tuple[str, float, float]) -> dict:
        return {"subset": subset, "annotations": [{"label": a[0], "segment": [a[1], a[2]]} for a in annotations]}

    file = _database(
        tmp_path,
        {
            "one": entry("training", ("Yoga", 0, 5), ("Archery", 5, 30)),
            "two": entry("training", ("Yoga", 0, 10), ("Archery", 20, 30)),
            "three": entry("validation", ("Zumba", 1, 2)),
            "four": entry("testing"),
        },
    )
    lists = activitynet(file, FrameFolders(make_dumped_folders(tmp_path / "f", ["v_one", "two", "Zumba/v_three"])))
    assert lists.class_names == ["Archery", "Yoga", "Zumba"]
    assert lists.train == [("v_one", 0), ("two", 1)]
    assert lists.val == [("Zumba/v_three", 2)]


@pytest.mark.parametrize("database", [{"a": {}}, {"a": {"subset": "x", "annotations": [{"label": "b"}]}}, []])
def test_faulty_activitynet_json(tmp_path: Path, nothing: FrameFolders, database: dict) -> None:
    with pytest.raises(UserError, match="not ActivityNet's json"):
        activitynet(_database(tmp_path, database), nothing)


def test_faulty_official_files_name_the_line(tmp_path: Path, nothing: FrameFolders) -> None:
    with pytest.raises(UserError, match=re.escape("classInd.txt: no such file")):
        ucf101(tmp_path, nothing, split=1)
    (tmp_path / "classInd.txt").write_text("1 Archery\n2 Yo Yo\n")
    (tmp_path / "trainlist01.txt").write_text("Archery/a.avi 1\r\n\r\nDiving/b.avi 2\r\n")
    with pytest.raises(UserError, match=r"trainlist01\.txt:3: got 'Diving/b\.avi 2'"):
        ucf101(tmp_path, nothing, split=1)
    with pytest.raises(UserError, match="got 0 files"):
        hmdb51(tmp_path, nothing, split=1)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("1 a b\n2 c\n", ["a b", "c"]),
        ("0 a\n1 c\n", ["a", "c"]),
        ("2 c\n1 a\n", ["a", "c"]),
        ("\ufeffwave\r\n\r\nrun fast\r\n", ["wave", "run fast"]),
        ("1 a\n3 b\n", ["1 a", "3 b"]),
    ],
)
def test_read_classes(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "classInd.txt").write_text(text)
    assert read_classes(tmp_path / "classInd.txt") == names


@needs_shared
def test_ready_lists_of_videos(nothing: FrameFolders) -> None:
    place = SHARED / "data" / "weizmann"
    lists = ready_lists(place / "train.txt", place / "val.txt", nothing, class_file=place / "classInd.txt")
    assert (len(lists.train), len(lists.val), len(lists.class_names)) == (60, 30, 10)
    assert lists.train[0] == ("bend/daria_bend", 0)
    nameless = ready_lists(place / "train.txt", place / "val.txt", nothing, class_file=None)
    assert nameless.train == lists.train
    assert nameless.class_names[9] == "class 9"


def test_ready_lists_that_count_from_1_are_refused(tmp_path: Path, nothing: FrameFolders) -> None:
    (tmp_path / "classInd.txt").write_text("1 a\n2 b\n")
    (tmp_path / "list.txt").write_text("a/x.mp4 1\nb/y.mp4 2\n")
    with pytest.raises(UserError, match="subtract 1"):
        ready_lists(tmp_path / "list.txt", tmp_path / "list.txt", nothing, class_file=tmp_path / "classInd.txt")


@needs_shared
@pytest.mark.parametrize("classes", [400, 600, 700])
def test_kinetics_classes_are_numbered_as_in_their_label_map(
    tmp_path: Path, nothing: FrameFolders, classes: int
) -> None:
    label_map = LABELS / "kinetics" / f"label_map_k{classes}.txt"
    names = read_classes(label_map)
    assert len(set(names)) == classes
    csv = tmp_path / "few.csv"
    csv.write_text(KINETICS_HEAD + f'"{names[-1]}",aaa,1,11,train\n"{names[7]}",bbb,2,12,val\n')
    lists = kinetics(csv, nothing, class_file=label_map)
    assert lists.class_names == names
    assert [video.label for video in (*lists.train, *lists.val)] == [classes - 1, 7]
    csv.write_text(KINETICS_HEAD + "no such thing,aaa,1,11,train\n")
    with pytest.raises(UserError, match=r"lacks 1 classes of .*few\.csv, e\.g\. 'no such thing'"):
        kinetics(csv, nothing, class_file=label_map)


@needs_shared
def test_kinetics_600_labels_are_places_in_the_label_map(nothing: FrameFolders) -> None:
    label_map = LABELS / "kinetics" / "label_map_k600.txt"
    csv = LABELS / "kinetics" / "kinetics-600_val.csv"
    lists = kinetics(csv, nothing, class_file=label_map)
    assert len(lists.val) == 29_093
    assert set(Counter(video.label for video in lists.val)) == set(range(600))
    assert lists.val[-1] == ("zumba/xDd6uIBeMEA_000001_000011", lists.class_names.index("zumba"))
