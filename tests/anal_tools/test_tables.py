"""Tables of seven videos of three classes, by hand (see score_files.py)."""

import csv
from pathlib import Path

import numpy as np
import pytest

from anal_tools import tables
from tests.anal_tools.score_files import NAMES, results

MATRIX = [[1, 2, 0], [1, 1, 0], [1, 0, 1]]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_confusion_matrix(tmp_path: Path) -> None:
    matrix = tables.predicted_matrix(results())
    assert matrix.tolist() == MATRIX
    tables.write_matrix(tmp_path / "matrix.csv", matrix, NAMES)
    assert rows_of(tmp_path / "matrix.csv") == [
        ["label \\ prediction", "run", "walk", "jump"],
        ["run", "1", "2", "0"],
        ["walk", "1", "1", "0"],
        ["jump", "1", "0", "1"],
    ]


def test_classes_come_worst_first(tmp_path: Path) -> None:
    tables.write_classes(tmp_path / "classes.csv", results(), np.array(MATRIX))
    assert rows_of(tmp_path / "classes.csv")[1:] == [
        ["run", "3", "33.33", "100.00", "walk", "66.7"],
        ["walk", "2", "50.00", "100.00", "run", "50.0"],
        ["jump", "2", "50.00", "100.00", "run", "50.0"],
    ]


def test_top_5_of_a_class_counts_labels_among_the_five_best(tmp_path: Path) -> None:
    # 7 classes, 2 videos of class 6: once it is fifth, once sixth
    scores = np.array([[7, 6, 5, 4, 0, 0, 3], [7, 6, 5, 4, 3, 0, 2]], dtype=np.float32)
    names = [f"class {i}" for i in range(7)]
    two = results(scores=scores, labels=np.array([6, 6]), paths=np.array(["a", "b"]), class_names=np.array(names))
    tables.write_classes(tmp_path / "classes.csv", two, tables.predicted_matrix(two))
    rows = rows_of(tmp_path / "classes.csv")
    assert rows[1] == ["class 6", "2", "0.00", "50.00", "class 0", "100.0"]
    assert rows[2:] == [[name, "0", "nan", "nan", "", ""] for name in names[:6]]  # classes without videos come last


def test_pairs_count_both_ways() -> None:
    assert tables.confused_pairs(np.array(MATRIX), NAMES) == [("run", "walk", 3, 2, 1), ("run", "jump", 1, 0, 1)]


def test_errors_come_by_softmax_probability_not_by_logit() -> None:
    errors = tables.top_errors(results())
    assert [error.row for error in errors] == [2, 1, 4, 5]  # 5 has the largest logit and is the least confident
    assert [error.rank for error in errors] == [1, 2, 3, 4]
    assert [error.confidence for error in errors] == pytest.approx([0.964663, 0.786986, 0.786986, 0.576117], abs=1e-6)
    first = errors[0]
    assert (first.path, first.label, first.prediction) == ("a folder/video 2", "run", "walk")
    assert first.label_probability == pytest.approx(0.017668, abs=1e-6)
    assert [name for name, _ in first.top] == ["walk", "run", "jump"]


def test_errors_of_averaged_probabilities_come_by_them() -> None:
    scores = np.array([[0.1, 0.9, 0], [0.45, 0.55, 0], [0.3, 0.7, 0]] + [[1, 0, 0]] * 4, dtype=np.float32)
    averaged = results(scores=scores, labels=np.zeros(7, np.int64), average="probabilities")
    errors = tables.top_errors(averaged)
    assert [error.row for error in errors] == [0, 2, 1]
    assert [error.confidence for error in errors] == pytest.approx([0.9, 0.7, 0.55])


def test_at_most_100_errors_are_listed() -> None:
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(400, 3)).astype(np.float32), rng.integers(3, size=400)
    many = results(scores=scores, labels=labels, paths=np.array([f"v{i}" for i in range(400)]))
    errors = tables.top_errors(many)
    confidences = many.probabilities().max(axis=1)
    wrong = sorted(confidences[scores.argmax(axis=1) != labels], reverse=True)
    assert len(wrong) > 200
    assert [error.confidence for error in errors] == wrong[:100]


def test_errors_and_pairs_as_csv(tmp_path: Path) -> None:
    odd = results(class_names=np.array(['run, "fast"', "walk", "jump"]))
    tables.write_errors(tmp_path / "errors.csv", tables.top_errors(odd, count=1))
    tables.write_pairs(tmp_path / "pairs.csv", tables.confused_pairs(np.array(MATRIX), NAMES))
    assert rows_of(tmp_path / "errors.csv")[1] == [
        *("1", "a folder/video 2", 'run, "fast"', "walk", "0.9647", "0.0177"),
        'walk 0.9647; run, "fast" 0.0177; jump 0.0177',
    ]
    assert rows_of(tmp_path / "pairs.csv")[1:] == [["run", "walk", "3", "2", "1"], ["run", "jump", "1", "0", "1"]]
