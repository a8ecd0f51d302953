"""What the scores say, as tables: confusion matrix, classes, errors, confused pairs; each a csv."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anal_tools.results_file import Results
from engine.metrics import confusion_matrix, ranking

TOP_ERRORS = 100
TOP = 5


class Error(NamedTuple):
    """A video (`row` of the scores) that was taken for another class.

    Probabilities are 0 to 1; `top` are the best classes with theirs.
    """

    rank: int
    row: int
    path: str
    label: str
    prediction: str
    confidence: float
    label_probability: float
    top: list[tuple[str, float]]


def predicted_matrix(results: Results) -> np.ndarray:
    """Counts int64 (K, K): a row per label, a column per prediction."""
    return confusion_matrix(ranking(results.scores)[:, 0], results.labels, len(results.class_names))


def top_errors(results: Results, count: int = TOP_ERRORS, *, by_loss: bool = False) -> list[Error]:
    """The most confident wrong predictions, the most confident one first; or those of the least probable label."""
    probabilities, order = results.probabilities(), ranking(results.scores)
    rows = np.arange(len(order))
    confidence = probabilities[rows, order[:, 0]]
    wrong = np.flatnonzero(order[:, 0] != results.labels)
    worst = probabilities[rows, results.labels] if by_loss else -confidence
    chosen = wrong[np.argsort(worst[wrong], kind="stable")][:count]
    names = results.class_names
    return [
        Error(
            rank=rank,
            row=int(i),
            path=str(results.paths[i]),
            label=str(names[results.labels[i]]),
            prediction=str(names[order[i, 0]]),
            confidence=float(confidence[i]),
            label_probability=float(probabilities[i, results.labels[i]]),
            top=[(str(names[k]), float(probabilities[i, k])) for k in order[i, :TOP]],
        )
        for rank, i in enumerate(chosen, start=1)
    ]


def confused_pairs(matrix: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, int, int, int]]:
    """(class, class, both ways together, first taken for second, second taken for first), the most confused first."""
    first, second = np.triu_indices(len(matrix), k=1)
    both = matrix[first, second] + matrix[second, first]
    order = [i for i in np.argsort(-both, kind="stable") if both[i] > 0]
    return [
        (
            str(names[first[i]]),
            str(names[second[i]]),
            int(both[i]),
            int(matrix[first[i], second[i]]),
            int(matrix[second[i], first[i]]),
        )
        for i in order
    ]


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A csv file of `rows` below `header`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_matrix(path: Path, matrix: np.ndarray, names: Sequence[str]) -> None:
    """The confusion matrix: a row per label, a column per prediction, counts of videos."""
    write_table(path, ["label \\ prediction", *names], ([name, *row] for name, row in zip(names, matrix.tolist())))


def write_classes(path: Path, results: Results, matrix: np.ndarray) -> None:
    """Per class: videos, top-1 and top-5 in percent, and what it is most confused with; the worst first."""
    order = ranking(results.scores)
    in_top = (order[:, :TOP] == results.labels[:, None]).any(axis=1)
    rows = []
    for label, name in enumerate(results.class_names):
        count = int(matrix[label].sum())
        others = matrix[label].copy()
        others[label] = 0
        worst = int(others.argmax())
        mistaken = int(others[worst])
        top1 = 100 * matrix[label, label] / count if count else float("nan")
        top5 = 100 * in_top[results.labels == label].mean() if count else float("nan")
        confused = [results.class_names[worst], f"{100 * mistaken / count:.1f}"] if mistaken else ["", ""]
        rows.append((top1, [name, count, f"{top1:.2f}", f"{top5:.2f}", *confused]))
    rows.sort(key=lambda row: (np.isnan(row[0]), row[0]))
    header = ["class", "videos", "top-1 %", "top-5 %", "most confused with", "% of its videos"]
    write_table(path, header, (row for _, row in rows))


def write_errors(path: Path, errors: Sequence[Error]) -> None:
    """The most confident errors, a row each."""
    header = ["rank", "path", "label", "prediction", "confidence", "probability of the label", "top-5"]
    rows = (
        [
            *(error.rank, error.path, error.label, error.prediction),
            *(f"{error.confidence:.4f}", f"{error.label_probability:.4f}"),
            "; ".join(f"{name} {probability:.4f}" for name, probability in error.top),
        ]
        for error in errors
    )
    write_table(path, header, rows)


def write_pairs(path: Path, pairs: Sequence[tuple[str, str, int, int, int]]) -> None:
    """The most confused pairs, a row each."""
    write_table(path, ["class a", "class b", "confusions", "a taken for b", "b taken for a"], pairs)
