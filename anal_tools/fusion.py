"""Scores of several checkpoints or modalities (RGB and Flow) for the same videos, as one: weighted probabilities."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anal_tools.results_file import Results
from engine.calibration import negative_log_likelihood
from engine.metrics import top_k_accuracy
from utils.errors import UserError

STEPS = 20  # of a searched weight: 0, 0.05 ... 1
MOST_SEARCHED = 3


def check_same_videos(first: Results, other: Results, path: Path) -> None:
    """Raise `UserError` unless both are scores of the same videos and classes, in the same order."""
    faults = []
    if first.class_names.tolist() != other.class_names.tolist():
        faults.append("other classes")
    if first.paths.tolist() != other.paths.tolist() or first.labels.tolist() != other.labels.tolist():
        faults.append(f"another list ({other.list_file}, the first has {first.list_file})")
    if faults:
        raise UserError(f"{path}: scores of {' and of '.join(faults)}; score the same videos and classes")


def fuse(parts: Sequence[Results], weights: Sequence[float], *, note: str = "") -> Results:
    """The parts' probabilities averaged by `weights`, which are scaled to sum to 1; `note` stands with the protocol."""
    if len(weights) != len(parts) or min(weights) < 0 or sum(weights) <= 0:
        raise UserError(f"--weights: got {list(weights)}, needs {len(parts)} numbers of at least 0, not all 0")
    shares = np.asarray(weights, dtype=np.float64) / sum(weights)
    scores = np.tensordot(shares, np.stack([part.probabilities() for part in parts]), axes=1)
    protocols = list(dict.fromkeys(part.protocol for part in parts))
    terms = [f"{share:.3g} x {part.checkpoint} [{part.protocol}]" for share, part in zip(shares, parts)]
    return replace(
        parts[0],
        scores=scores.astype(np.float32),
        average="probabilities",
        protocol=f"fusion of {' + '.join(protocols)}{note}",
        checkpoint=" + ".join(terms),
        checkpoint_sha256=" + ".join(part.checkpoint_sha256 for part in parts),
        config="---\n".join(part.config for part in parts),
        views=None,
        features=None,
    )


def search_weights(parts: Sequence[Results]) -> list[float]:
    """The weights on a grid with the highest top-1 on these very videos, of equal ones those of the best likelihood."""
    if not 2 <= len(parts) <= MOST_SEARCHED:
        raise UserError(f"--search-weights: got {len(parts)} score files, needs 2 or {MOST_SEARCHED}; give --weights")
    probabilities, labels = np.stack([part.probabilities() for part in parts]), parts[0].labels

    def worth(weights: tuple[int, ...]) -> tuple[float, float]:
        mixed = np.tensordot(np.array(weights) / STEPS, probabilities, axes=1)
        return top_k_accuracy(mixed, labels, 1), -negative_log_likelihood(mixed, labels)

    grid = (each for each in itertools.product(range(STEPS + 1), repeat=len(parts)) if sum(each) == STEPS)
    return [weight / STEPS for weight in max(grid, key=worth)]
