"""Score files: what is written is read, and what is no score file is told in one line."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anal_tools.results_file import check_writable, load_results
from tests.anal_tools.score_files import results
from tests.experiments import environment
from tests.shared_material import REPOSITORY
from utils.errors import UserError


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "results.npz"
    results(**changes).save(path)
    return path


def is_refused(path: Path) -> bool:
    """Whether the file is told to be no score file; another exception fails the test."""
    try:
        load_results(path)
    except UserError:
        return True
    return False


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ours = results(class_names=np.array(["跑步", "a name with spaces", "x, y"]))
    path = tmp_path / "new" / "results.npz"
    ours.save(path)
    theirs = load_results(path)
    for field in dataclasses.fields(ours):
        one, other = getattr(ours, field.name), getattr(theirs, field.name)
        assert type(one) is type(other), field.name
        assert np.array_equal(one, other), field.name
    assert theirs.scores.dtype == np.float32
    assert [each.name for each in path.parent.iterdir()] == ["results.npz"]


def test_probabilities_of_logits_are_their_softmax(tmp_path: Path) -> None:
    probabilities = load_results(written(tmp_path)).probabilities()
    assert probabilities[2] == pytest.approx([1 / 56.598150, 54.598150 / 56.598150, 1 / 56.598150])
    assert probabilities.sum(axis=1) == pytest.approx([1] * 7)


def test_probabilities_of_large_logits_do_not_overflow() -> None:
    large = results(scores=np.array([[1e4, 0, -1e4]] * 7, dtype=np.float32))
    assert large.probabilities()[0].tolist() == [1, 0, 0]


def test_averaged_probabilities_stay_as_they_are() -> None:
    averaged = np.array([[0.2, 0.5, 0.3]] * 7, dtype=np.float32)
    assert np.array_equal(results(scores=averaged, average="probabilities").probabilities(), averaged)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.zeros((0, 3), np.float32)}, "holds no videos"),
        ({"scores": np.zeros((7, 4), np.float32)}, "scores of 4 classes, names of 3"),
        ({"labels": np.zeros(6, np.int64)}, "7 rows of scores, 6 labels, 7 paths"),
        ({"labels": np.array([0, 1, 2, 3, 0, 0, 0])}, "labels from 0 to 3, needs 0 to 2"),
        ({"labels": np.array([0, 1, -1, 2, 0, 0, 0])}, "labels from -1 to 2, needs 0 to 2"),
        ({"scores": np.full((7, 3), np.nan, np.float32)}, "scores of 7 videos are not finite; .* diverged"),
        ({"average": "votes"}, "averaged 'votes', needs one of logits, probabilities"),
        ({"labels": np.zeros((7, 1), np.int64)}, "labels is of another type"),
        ({"labels": np.zeros(7)}, "labels is of another type"),
        ({"scores": np.zeros((7, 3), np.int64)}, "scores is of another type"),
        ({"paths": np.arange(7)}, "paths is of another type"),
        ({"protocol": np.array(["center"])}, "protocol is of another type"),
    ],
)
def test_contents_that_do_not_fit_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"results\.npz: .*{message}"):
        load_results(written(tmp_path, **changes))


def test_files_of_other_programs_are_named(tmp_path: Path) -> None:
    foreign, array, text = tmp_path / "foreign.npz", tmp_path / "array.npz", tmp_path / "text.npz"
    np.savez(foreign, scores=np.zeros((2, 3)), labels=np.zeros(2))
    with array.open("wb") as file:
        np.save(file, np.zeros(3))
    text.write_text("scores")
    with pytest.raises(UserError, match=r"foreign\.npz: not a score file .*: it has no paths, class_names, num_frames"):
        load_results(foreign)
    for path in (array, text):
        with pytest.raises(UserError, match=r"not a score file, or one that was cut off: it is no \.npz archive"):
            load_results(path)
    with pytest.raises(UserError, match=r"no such score file; anal_tools/get_reference_results\.py writes one"):
        load_results(tmp_path)


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "results.npz"
    np.savez(path, scores=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match=r"results\.npz: not a score file that can be read"):
        load_results(path)


def test_no_damage_ends_in_a_traceback(tmp_path: Path) -> None:
    data = written(tmp_path).read_bytes()
    rng = np.random.default_rng(0)
    damaged, refused = tmp_path / "damaged.npz", 0
    for attempt in range(400):
        bytes_ = bytearray(data[: rng.integers(len(data))] if attempt % 4 == 0 else data)
        for _ in range(3):
            if bytes_:
                bytes_[rng.integers(len(bytes_))] = rng.integers(256)
        damaged.write_bytes(bytes_)
        refused += is_refused(damaged)
    assert refused > 300


def test_a_damaged_file_ends_the_command_with_status_2(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    command = [sys.executable, str(REPOSITORY / "anal_tools" / "analyze.py"), str(path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {path}: not a score file, or one that was cut off")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "results.npz"
    for write in (results().save, check_writable):
        with pytest.raises(UserError, match=r"file/results\.npz: can't be written"):
            write(path)


def test_a_name_is_checked_before_anything_is_scored(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "results.npz")
    assert list((tmp_path / "new").iterdir()) == []
    for name in ("results", "results.txt"):
        with pytest.raises(UserError, match=rf"{name}: can't be a score file, needs a file's name that ends in \.npz"):
            check_writable(tmp_path / name)
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(UserError, match=r"folder\.npz: can't be a score file"):
        check_writable(tmp_path / "folder.npz")
