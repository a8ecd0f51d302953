"""Folds as one score file: videos part after part, accuracies and intervals by hand, and what can't be joined."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anal_tools.get_reference_results import main
from anal_tools.joining import join, over_folds, over_videos
from anal_tools.results_file import Results, load_results
from tests.anal_tools.score_files import results
from utils.errors import UserError


def other_fold(**changes: Any) -> Results:
    """Two more videos, both right, of another person."""
    values = {
        "scores": np.eye(3, dtype=np.float32)[[1, 2]],
        "labels": np.array([1, 2]),
        "paths": np.array(["b/one", "b/two"]),
        "num_frames": np.array([5, 6]),
        "checkpoint": "exps/y/ckpt.pth.tar",
        "list_file": "lists/other.txt",
    }
    return results(**{**values, **changes})


def test_two_folds_become_one_file_of_nine_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results().save(tmp_path / "one.npz")
    other_fold().save(tmp_path / "two.npz")
    assert main(["--join", *(str(tmp_path / f"{name}.npz") for name in ("one", "two")), "--out", str(tmp_path / "all.npz")]) == 0  # fmt: skip # noqa: E501
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("one.npz: [center] top-1 42.86 of 7 videos")
    assert lines[1].endswith("two.npz: [center] top-1 100.00 of 2 videos")
    assert lines[2].startswith("all 9 videos: top-1 55.56 (")  # 5 of 9
    assert "; mean of 2 folds: 71.43 (42.86 - 100.00)" in lines[2]
    joined = load_results(tmp_path / "all.npz")
    assert joined.paths.tolist() == [*results().paths, "b/one", "b/two"]
    assert np.array_equal(joined.scores, np.concatenate([results().scores, other_fold().scores]))
    assert joined.labels.tolist()[-2:] == [1, 2]
    assert joined.list_file == "lists/val.txt + lists/other.txt"
    assert joined.checkpoint == "exps/x/ckpt_best.pth.tar + exps/y/ckpt.pth.tar"


def test_of_many_folds_the_first_and_the_last_are_named() -> None:
    parts = [other_fold(paths=np.array([f"{n}/one", f"{n}/two"]), list_file=f"folds/{n}.txt") for n in range(9)]
    joined = join(parts, [Path(f"{n}.npz") for n in range(9)])
    assert joined.list_file == "folds/0.txt ... folds/8.txt (9 folds)"
    assert len(joined.list_sha256.split(" + ")) == 9


def test_the_interval_over_folds_draws_whole_folds() -> None:
    """Of two folds, 3 of 7 and 2 of 2, a quarter of the draws has only one of them."""
    assert over_folds([results(), other_fold()]) == "71.43 (42.86 - 100.00)"
    assert over_folds([other_fold(), other_fold()]) == "100.00 (100.00 - 100.00)"
    assert over_videos([other_fold()]) == "100.00 (100.00 - 100.00)"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"paths": np.array(["b/one", "a folder/video 3"])}, "a folder/video 3: scored in 2 of the files, needs one"),
        ({"protocol": "ssv2-1x3"}, "two.npz: its protocol is 'ssv2-1x3', needs 'center', that of one.npz"),
        ({"class_names": np.array(["a", "b", "c"])}, "two.npz: scores of other classes than one.npz"),
    ],
)
def test_what_is_no_fold_of_the_same_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        join([results(), other_fold(**changes)], [Path("one.npz"), Path("two.npz")])
