"""Suspects, lengths, McNemar's test and two runs beside each other, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest

from anal_tools.findings import accuracy_by_length, against, label_suspects, mcnemar, write_against
from anal_tools.tables import top_errors
from tests.anal_tools.score_files import results


def test_mcnemar_is_the_binomials_two_tails() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(8, 2) == pytest.approx(2 * (1 + 10 + 45) / 1024)  # 0.1094
    assert mcnemar(3000, 3300) == pytest.approx(0.000165, rel=0.05)


def test_a_label_is_suspect_that_gets_less_than_usual_where_another_gets_more() -> None:
    """Own probabilities: run 0.787, 0.107, 0.018 (mean 0.304), walk 0.787, 0.107 (0.447), jump 0.212, 0.787 (0.499)."""
    suspects = label_suspects(results())
    assert [each.row for each in suspects] == [2, 1, 4, 5]
    assert (suspects[0].label, suspects[0].likely) == ("run", "walk")
    assert suspects[0].likely_probability == pytest.approx(0.9647, abs=1e-4)
    assert label_suspects(results(), count=1) == suspects[:1]


def test_errors_by_loss_have_the_least_probable_label_first() -> None:
    assert [error.row for error in top_errors(results(), by_loss=True)] == [2, 1, 4, 5]
    twisted = np.array([[0, 9, 8.9], [9, 0, 0]], dtype=np.float32)  # sure of one, torn between two others
    two = results(scores=twisted, labels=np.array([0, 1]), paths=np.array(["a", "b"]), num_frames=np.array([3, 3]))
    assert [error.row for error in top_errors(two)] == [1, 0]
    assert [error.row for error in top_errors(two, by_loss=True)] == [0, 1]


def test_accuracy_by_length() -> None:
    parts = accuracy_by_length(results(num_frames=np.array([10, 20, 30, 40, 50, 60, 70])), parts=2)
    assert [(part.low, part.high, part.videos) for part in parts] == [(10, 40, 4), (50, 70, 3)]
    assert [part.accuracy for part in parts] == [0.5, pytest.approx(1 / 3)]
    (one,) = accuracy_by_length(results())
    assert one == (9, 9, 7, pytest.approx(3 / 7))
    assert accuracy_by_length(results(num_frames=np.zeros(7, dtype=np.int64))) == []


def test_two_runs_beside_each_other(tmp_path: Path) -> None:
    perfect = results(scores=np.eye(3, dtype=np.float32)[results().labels])
    rows = against(results(), perfect)
    assert [row.name for row in rows] == ["all videos", "run", "walk", "jump"]
    assert rows[0][1:] == (7, pytest.approx(3 / 7), 1.0, 0, 4, pytest.approx(2 / 16))
    write_against(tmp_path / "against.csv", rows)
    assert (tmp_path / "against.csv").read_text().splitlines()[1] == "all videos,7,42.86,100.00,-57.14,0,4,0.125"
