import re
from collections import Counter
from pathlib import Path

import pytest

from datasets.prepare.frame_counts import FrameFolders
from datasets.prepare.split_folders import choose_groups, split_class_folders
from tests.datasets.prepare.dumped_folders import make_dumped_folders
from utils.errors import UserError

PATTERN = re.compile(r"_g\d+")
PEOPLE = ("daria", "denis", "eli", "ido", "ira", "lena", "lyova", "moshe", "shahar", "zoe")


def test_each_class_gives_its_share() -> None:
    groups = {
        f"{label}/{number}": Counter({label: 1})
        for label, total in ((0, 10), (1, 35), (2, 2))
        for number in range(total)
    }
    chosen = choose_groups(groups, val_fraction=0.2)
    assert Counter(int(name[0]) for name in chosen) == {0: 2, 1: 7}  # 0.4 of a video is nearer to none
    assert chosen == choose_groups(dict(reversed(groups.items())), val_fraction=0.2)


def test_groups_stay_together(tmp_path: Path) -> None:
    videos = [f"{name}/v_{name}_g{g:02d}_c{c:02d}" for name in ("a", "b") for g in range(1, 11) for c in range(1, 5)]
    split = split_class_folders(
        FrameFolders(make_dumped_folders(tmp_path, videos)), val_fraction=0.2, group_pattern=PATTERN
    )
    assert split.class_names == ["a", "b"]
    assert Counter(video.label for video in split.val) == {0: 8, 1: 8}
    assert len(split.train) == 64
    group = {
        side: {video.path.split("_")[2] for video in videos}
        for side, videos in split._asdict().items()
        if side != "class_names"
    }
    assert not group["train"] & group["val"]
    assert len(group["val"]) == 2


def test_a_person_is_on_one_side_in_every_class(tmp_path: Path) -> None:
    videos = [f"{action}/{person}_{action}" for action in ("bend", "run", "walk") for person in PEOPLE]
    folders = FrameFolders(make_dumped_folders(tmp_path, videos))
    split = split_class_folders(folders, val_fraction=0.3, group_pattern=re.compile(r"^([a-z]+)_"))
    people = Counter(video.path.split("/")[1].split("_")[0] for video in split.val)
    assert set(people.values()) == {3}
    assert len(people) == 3


def test_no_class_folders(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match="needs a folder per class"):
        split_class_folders(FrameFolders(tmp_path), val_fraction=0.2, group_pattern=PATTERN)
