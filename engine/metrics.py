"""Accuracies and the confusion matrix, of scores (N, K) against labels (N,), in double precision.

Where scores tie, the class with the smaller number ranks first.
"""

import numpy as np


def ranking(scores: np.ndarray) -> np.ndarray:
    """Classes of each row of scores (N, K) from best to worst, int64 (N, K)."""
    return np.argsort(-np.asarray(scores, dtype=np.float64), axis=1, kind="stable")


def softmax(logits: np.ndarray) -> np.ndarray:
    """float64 (..., K) whose last axis sums to 1."""
    logits = np.asarray(logits, dtype=np.float64)
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def top_k_accuracy(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of rows whose label is among the `k` highest scores, 0 to 1."""
    return float((ranking(scores)[:, :k] == labels[:, None]).any(axis=1).mean())


def confusion_matrix(predictions: np.ndarray, labels: np.ndarray, num_class: int) -> np.ndarray:
    """Counts int64 (num_class, num_class): a row per label, a column per prediction."""
    counts = np.bincount(labels * num_class + predictions, minlength=num_class**2)
    return counts.reshape(num_class, num_class)


def per_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each class's rows that are right, float64 (K,); NaN for a class without rows."""
    matrix = confusion_matrix(ranking(scores)[:, 0], labels, scores.shape[1])
    counts = matrix.sum(axis=1)
    return np.divide(np.diag(matrix), counts, out=np.full(len(counts), np.nan), where=counts > 0)


def mean_class_accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy per class, averaged over the classes that occur among the labels, 0 to 1."""
    return float(np.nanmean(per_class_accuracy(scores, labels)))
