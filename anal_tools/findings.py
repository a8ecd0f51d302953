"""What the scores say beyond right and wrong: suspects among the labels, calibration, length, against another run."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from anal_tools.results_file import Results
from anal_tools.tables import write_table
from engine.calibration import ReliabilityBin, losses
from engine.metrics import per_class_accuracy, ranking

MOST_SUSPECTS = 100
LENGTH_PARTS = 10


class Suspect(NamedTuple):
    """A video (`row`) whose label is doubtful: the model gives `likely` more than that class's videos usually get."""

    row: int
    path: str
    label: str
    likely: str
    likely_probability: float
    label_probability: float


def label_suspects(results: Results, count: int = MOST_SUSPECTS) -> list[Suspect]:
    """Confident learning (Northcutt et al., JAIR 2021): the widest gap between likely class and label first.

    A class's threshold is the mean probability that its own videos get. A video is suspect that is below its label's
    threshold, and at or above that of the class it is taken for. A suspect is to be looked at, not proven wrong.
    """
    probabilities, labels = results.probabilities(), results.labels
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    counts = np.bincount(labels, minlength=probabilities.shape[1])
    thresholds = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    likely = ranking(results.scores)[:, 0]
    best = probabilities[rows, likely]
    suspect = (likely != labels) & (best >= thresholds[likely]) & (own < thresholds[labels])
    chosen = np.flatnonzero(suspect)
    chosen = chosen[np.argsort(own[chosen] - best[chosen], kind="stable")][:count]
    names = results.class_names
    return [
        Suspect(int(i), str(results.paths[i]), str(names[labels[i]]), str(names[likely[i]]), best[i], own[i])
        for i in chosen
    ]


class LengthPart(NamedTuple):
    """Videos of `low` to `high` frames: how many, and the share that is right."""

    low: int
    high: int
    videos: int
    accuracy: float


def accuracy_by_length(results: Results, parts: int = LENGTH_PARTS) -> list[LengthPart]:
    """Accuracy in parts of about equally many videos, the shortest videos first; videos of one length stay together.

    Without frame counts in the list (video files) there is nothing to say: an empty list.
    """
    frames = results.num_frames
    if not frames.any():
        return []
    right = ranking(results.scores)[:, 0] == results.labels
    edges = np.unique(np.quantile(frames, np.linspace(0, 1, parts + 1)[1:-1], method="higher"))
    number = np.searchsorted(edges, frames, side="left")
    return [
        LengthPart(int(frames[here].min()), int(frames[here].max()), int(here.sum()), float(right[here].mean()))
        for here in (number == part for part in range(len(edges) + 1))
        if here.any()
    ]


def mcnemar(only_first: int, only_second: int) -> float:
    """The exact two-sided p-value of McNemar's test: of two runs that are equally good, so uneven a split or more."""
    total, fewer = only_first + only_second, min(only_first, only_second)
    if total == 0:
        return 1.0
    logarithms = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) - total * math.log(2)
        for k in range(fewer + 1)
    ]
    return min(1.0, 2 * math.fsum(math.exp(each) for each in logarithms))


class Against(NamedTuple):
    """A class, or all of them, in two runs: videos, both accuracies, videos only one has right, McNemar's p."""

    name: str
    videos: int
    accuracy: float
    other: float
    only_first: int
    only_second: int
    p: float


def against(first: Results, second: Results) -> list[Against]:
    """All videos together, then each class that has videos, the largest loss against `second` first."""
    right, other = (ranking(each.scores)[:, 0] == first.labels for each in (first, second))

    def compare(name: str, here: np.ndarray) -> Against:
        one, two = right[here], other[here]
        only = int((one & ~two).sum()), int((two & ~one).sum())
        return Against(name, int(here.sum()), float(one.mean()), float(two.mean()), *only, mcnemar(*only))

    present = np.flatnonzero(~np.isnan(per_class_accuracy(first.scores, first.labels)))
    classes = [compare(str(first.class_names[label]), first.labels == label) for label in present]
    classes.sort(key=lambda row: row.accuracy - row.other)
    return [compare("all videos", np.ones(len(right), dtype=bool)), *classes]


def losses_of(results: Results) -> np.ndarray:
    """-log(probability of the label) of each video, float64 (N,)."""
    return losses(results.probabilities(), results.labels)


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """The doubtful labels, a row each."""
    rows = ([*each[1:4], f"{each.likely_probability:.4f}", f"{each.label_probability:.4f}"] for each in suspects)
    write_table(path, ["path", "label", "likely", "probability", "probability of the label"], rows)


def write_calibration(path: Path, curve: Sequence[ReliabilityBin]) -> None:
    """The reliability curve, a row per bin."""
    rows = (
        [f"{each.low:.4f}", f"{each.high:.4f}", each.videos, *(f"{value:.4f}" for value in each[3:])] for each in curve
    )
    write_table(path, ["confidence above", "up to", "videos", "mean confidence", "accuracy"], rows)


def write_lengths(path: Path, parts: Sequence[LengthPart]) -> None:
    """Accuracy by length, a row per part."""
    rows: list[list[Any]] = [[*each[:3], f"{100 * each.accuracy:.2f}"] for each in parts]
    write_table(path, ["frames from", "to", "videos", "top-1 %"], rows)


def write_against(path: Path, rows: Sequence[Against]) -> None:
    """Both runs, a row per class."""
    header = ["class", "videos", "top-1 %", "other %", "difference", "only this right", "only other right", "p"]
    cells = (
        [
            *(row.name, row.videos, f"{100 * row.accuracy:.2f}", f"{100 * row.other:.2f}"),
            *(f"{100 * (row.accuracy - row.other):+.2f}", row.only_first, row.only_second, f"{row.p:.4g}"),
        ]
        for row in rows
    )
    write_table(path, header, cells)
