"""Score files of folds (each video held out once, by a model that has not seen it) as one file of all their videos."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from anal_tools.results_file import Results
from engine.calibration import bootstrap_interval
from engine.evaluation_table import with_interval
from engine.metrics import ranking
from utils.errors import UserError

SAME = ("protocol", "average", "root", "image_tmpl")


def join(parts: Sequence[Results], paths: Sequence[Path]) -> Results:
    """All videos, part after part; `UserError` where parts are not of one protocol and classes, or share a video."""
    for path, part in zip(paths, parts):
        if part.class_names.tolist() != parts[0].class_names.tolist():
            raise UserError(f"{path}: scores of other classes than {paths[0]}; join folds of one data set")
        for name in SAME:
            if getattr(part, name) != getattr(parts[0], name):
                got, needs = getattr(part, name), getattr(parts[0], name)
                raise UserError(f"{path}: its {name} is {got!r}, needs {needs!r}, that of {paths[0]}; score it alike")
    names, counts = np.unique(np.concatenate([part.paths for part in parts]), return_counts=True)
    if counts.max() > 1:
        raise UserError(f"{names[counts.argmax()]}: scored in {counts.max()} of the files, needs one; join folds")
    return replace(
        parts[0],
        scores=np.concatenate([part.scores for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        paths=np.concatenate([part.paths for part in parts]),
        num_frames=np.concatenate([part.num_frames for part in parts]),
        config="---\n".join(part.config for part in parts),
        checkpoint=_first_to_last([part.checkpoint for part in parts]),
        checkpoint_sha256=" + ".join(part.checkpoint_sha256 for part in parts),
        list_file=_first_to_last([part.list_file for part in parts]),
        list_sha256=" + ".join(part.list_sha256 for part in parts),
        versions=" + ".join(dict.fromkeys(part.versions for part in parts)),
        views=None,
        features=None,
    )


def _first_to_last(names: Sequence[str]) -> str:
    """One line of the folds' files: nine full paths are no help to a reader."""
    return " + ".join(names) if len(names) < 3 else f"{names[0]} ... {names[-1]} ({len(names)} folds)"


def right_of(results: Results) -> np.ndarray:
    """bool (N,): whether each video's best class is its label."""
    return ranking(results.scores)[:, 0] == results.labels


def over_videos(parts: Sequence[Results]) -> str:
    """Top-1 in percent of all videos together, with the 95 % interval over draws of videos."""
    right = np.concatenate([right_of(part) for part in parts])
    return with_interval(100 * float(right.mean()), bootstrap_interval(right))


def over_folds(parts: Sequence[Results]) -> str:
    """The mean of the folds' top-1 in percent, with the 95 % interval over draws of whole folds.

    It knows that videos of a fold stand and fall together: where folds are persons, it says what to expect of others.
    """
    means = np.array([right_of(part).mean() for part in parts])
    return with_interval(100 * float(means.mean()), bootstrap_interval(means))
