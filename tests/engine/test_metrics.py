"""Accuracies of three classes, by hand."""

import numpy as np

from engine.metrics import confusion_matrix, mean_class_accuracy, ranking, top_k_accuracy

SCORES = np.array([[3.0, 2, 1], [1, 3, 2], [3, 1, 2], [0, 1, 2], [5, 5, 1]])
LABELS = np.array([0, 0, 2, 2, 1])


def test_ties_go_to_the_smaller_class() -> None:
    assert ranking(SCORES)[4].tolist() == [0, 1, 2]


def test_top_k() -> None:
    assert top_k_accuracy(SCORES, LABELS, 1) == 2 / 5
    assert top_k_accuracy(SCORES, LABELS, 2) == 4 / 5
    assert top_k_accuracy(SCORES, LABELS, 3) == 1.0


def test_mean_class_accuracy_leaves_absent_classes_out() -> None:
    # class 0: 1 of 2, class 1: 0 of 1, class 2: 1 of 2
    assert mean_class_accuracy(SCORES, LABELS) == (0.5 + 0 + 0.5) / 3
    assert mean_class_accuracy(SCORES[:4], LABELS[:4]) == 0.5


def test_confusion_matrix_counts_rows_of_labels() -> None:
    matrix = confusion_matrix(ranking(SCORES)[:, 0], LABELS, 3)
    assert matrix.tolist() == [[1, 1, 0], [1, 0, 0], [1, 0, 1]]
