"""How far scores can be believed: likelihood, calibration, and intervals of the accuracies.

Probabilities are float (N, K), rows summing to 1; labels int64 (N,).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

BINS = 15
RESAMPLES = 2000
LEAST_PROBABILITY = 1e-12  # a label that was given 0 costs 27.6 nats, not infinitely many


class Interval(NamedTuple):
    """A 95 % interval, from `low` to `high`."""

    low: float
    high: float


class ReliabilityBin(NamedTuple):
    """Predictions whose confidence lies above `low`, at most at `high`: how many, how sure, how often right.

    `confidence` and `accuracy` are means, 0 to 1; NaN for an empty bin.
    """

    low: float
    high: float
    videos: int
    confidence: float
    accuracy: float


def negative_log_likelihood(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The mean over videos of -log(probability of the label), in nats."""
    return float(losses(probabilities, labels).mean())


def losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """-log(probability of the label) of each video, float64 (N,)."""
    chosen = np.asarray(probabilities, dtype=np.float64)[np.arange(len(labels)), labels]
    return -np.log(np.maximum(chosen, LEAST_PROBABILITY))


def reliability_curve(probabilities: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[ReliabilityBin]:
    """Confidence against accuracy in `bins` equal parts of 0 to 1 (Guo et al., ICML 2017)."""
    confidence = np.nan_to_num(probabilities.max(axis=1))
    right = probabilities.argmax(axis=1) == labels
    number = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    curve = []
    for each in range(bins):
        inside = number == each
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if inside.any() else (np.nan, np.nan)
        curve.append(ReliabilityBin(each / bins, (each + 1) / bins, int(inside.sum()), *means))
    return curve


def calibration_error(curve: list[ReliabilityBin]) -> float:
    """The expected calibration error, 0 to 1: |accuracy - confidence| averaged over the videos of all bins."""
    total = sum(each.videos for each in curve)
    return sum(each.videos * abs(each.accuracy - each.confidence) for each in curve if each.videos) / total


def bootstrap_interval(
    values: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray] | None = None, *, seed: int = 0
) -> Interval:
    """95 % of the means of `values` (N,), drawn anew with replacement RESAMPLES times; the same at every call.

    `statistic` takes counts (R, N) of how often each video was drawn, and gives (R,) in the place of the mean.
    """
    rng = np.random.default_rng(seed)
    count = len(values)
    found = []
    for _ in range(0, RESAMPLES, 100):  # a hundred draws at a time: N of 20,000 is 16 MB
        drawn = rng.integers(count, size=(100, count))
        if statistic is None:
            found.append(np.asarray(values, dtype=np.float64)[drawn].mean(axis=1))
        else:
            found.append(statistic(np.stack([np.bincount(row, minlength=count) for row in drawn])))
    low, high = np.percentile(np.concatenate(found), [2.5, 97.5])
    return Interval(float(low), float(high))


def mean_class_interval(right: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> Interval:
    """The interval of the accuracy averaged over classes; `right` bool (N,). A class not drawn is left out."""
    onehot = (labels[:, None] == np.unique(labels)[None, :]).astype(np.float32)

    def statistic(counts: np.ndarray) -> np.ndarray:
        drawn = counts.astype(np.float32) @ onehot
        hits = (counts * right).astype(np.float32) @ onehot
        return np.nanmean(np.divide(hits, drawn, out=np.full_like(hits, np.nan), where=drawn > 0), axis=1)

    return bootstrap_interval(right, statistic, seed=seed)
