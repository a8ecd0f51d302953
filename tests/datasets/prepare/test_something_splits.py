import json
from collections import Counter
from pathlib import Path

import pytest

from datasets.list_file import read_class_names, read_list
from datasets.prepare.build_lists import main
from datasets.prepare.frame_counts import FrameFolders
from datasets.prepare.something_splits import jester, something_v1, something_v2
from datasets.prepare.splits import read_classes
from tests.datasets.prepare.dumped_folders import make_dumped_folders
from tests.shared_material import SHARED, needs_shared
from utils.errors import UserError

LABELS = SHARED / "labels"


@pytest.fixture
def nothing(tmp_path: Path) -> FrameFolders:
    return FrameFolders(tmp_path / "no frames")


@needs_shared
def test_jester_has_the_published_counts(nothing: FrameFolders) -> None:
    lists = jester(LABELS / "jester", nothing)
    assert (len(lists.train), len(lists.val), len(lists.class_names)) == (118_562, 14_787, 27)
    assert lists.class_names[0] == "Doing_other_things"
    assert lists.train[0] == ("34870", 1)
    assert set(Counter(video.label for video in lists.train)) == set(range(27))
    assert not {video.path for video in lists.train} & {video.path for video in lists.val}


@needs_shared
@pytest.mark.parametrize("version", [1, 2])
def test_something_has_174_classes_in_the_official_order(tmp_path: Path, nothing: FrameFolders, version: int) -> None:
    names = read_classes(LABELS / "something-something" / f"sthv{version}_label_map.txt")
    assert len(names) == 174
    prefix = f"something-something-v{version}"
    if version == 1:
        (tmp_path / f"{prefix}-labels.csv").write_text("\n".join(names) + "\n")
        for side, number in (("train", 4), ("validation", 173)):
            (tmp_path / f"{prefix}-{side}.csv").write_text(f"77{number};{names[number]}\n")
        lists = something_v1(tmp_path, nothing)
    else:
        (tmp_path / f"{prefix}-labels.json").write_text(json.dumps({name: str(n) for n, name in enumerate(names)}))
        for side, number in (("train", 4), ("validation", 173)):
            template = names[number].replace("something", "[something]")
            entry = {"id": f"77{number}", "label": "a cup", "template": template, "placeholders": ["a cup"]}
            (tmp_path / f"{prefix}-{side}.json").write_text(json.dumps([entry]))
        lists = something_v2(tmp_path, nothing)
    assert lists.class_names == names
    assert (lists.train, lists.val) == ([("774", 4)], [("77173", 173)])


def test_jester_as_csv_becomes_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    (labels / "jester-v1-labels.csv").write_text("Swiping Left\nSwiping Right\n")
    (labels / "jester-v1-train.csv").write_text("1;Swiping Right\n2;Swiping Left\n9;Swiping Left\n")
    (labels / "jester-v1-validation.csv").write_text("3;Swiping Right\n")
    frames = make_dumped_folders(tmp_path / "frames", ["1", "2", "3"], num_frames=37)
    out = tmp_path / "lists"
    assert main(["jester", "--frames", str(frames), "--labels", str(labels), "--out", str(out)]) == 0
    assert (out / "train.txt").read_text() == "1 37 1\n2 37 0\n"
    assert len(read_list(out / "val.txt", num_class=2)) == 1
    assert read_class_names(out / "val.txt", 2) == ["Swiping Left", "Swiping Right"]
    assert (out / "missing.txt").read_text() == "9\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("jester-v1-labels.csv", None, r"jester-v1-labels\.csv: no such file"),
        ("jester-v1-train.csv", "1;Swiping\n", r"train\.csv:1: got '1;Swiping', needs `id;class` with a class of"),
        ("jester-v1-train.csv", "1 a\n", r"train\.csv:1: got '1 a'"),
        ("trainlist.txt", "5 1\n6 3\n", r"trainlist\.txt:2: got '6 3', needs `id class`, class from 1 to 2"),
    ],
)
def test_faulty_jester_files(tmp_path: Path, nothing: FrameFolders, name: str, text: str | None, message: str) -> None:
    (tmp_path / "classInd.txt").write_text("1 a\n2 b\n")
    for file, content in {"labels": "a\nb\n", "train": "1;a\n", "validation": "2;b\n"}.items():
        (tmp_path / f"jester-v1-{file}.csv").write_text(content)
    (tmp_path / name).write_text(text) if text else (tmp_path / name).unlink()
    with pytest.raises(UserError, match=message):
        jester(tmp_path, nothing)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("labels", "[]", "got a list, needs {class: number}"),
        ("labels", '{"a": "1"}', "other numbers than 0 to 0"),
        ("labels", '{"a": 0', "not JSON"),
        ("train", '[{"id": "1", "template": "[b]"}]', "entry 1: got .*, needs id and a template"),
        ("train", "[7]", "entry 1: got 7"),
    ],
)
def test_faulty_something_v2_files(tmp_path: Path, nothing: FrameFolders, file: str, text: str, message: str) -> None:
    for name, content in {"labels": '{"a": "0"}', "train": "[]", "validation": "[]"}.items():
        (tmp_path / f"something-something-v2-{name}.json").write_text(text if name == file else content)
    with pytest.raises(UserError, match=message):
        something_v2(tmp_path, nothing)
