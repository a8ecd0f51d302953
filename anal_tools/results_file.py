"""The score file: everything that a list's scores mean, in one .npz that needs no pickle."""

import contextlib
import os
import tempfile
import zipfile
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from engine.metrics import softmax
from utils.errors import UserError

UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)  # numpy's, on broken files
ARRAYS = {"scores": (2, "f"), "labels": (1, "i"), "paths": (1, "U"), "class_names": (1, "U"), "num_frames": (1, "i")}
TEXT = (0, "U")
OPTIONAL = {"views": (3, "f"), "features": (2, "f")}
AVERAGES = ("logits", "probabilities")


@dataclass(frozen=True)
class Results:
    """Scores of N videos for K classes, and where they come from.

    `scores` float32 (N, K), averaged over views by the protocol as `average` says ("logits" or "probabilities");
    `labels`, `num_frames` int64 (N,); `paths` (N,) below `root`; `class_names` (K,); the rest is text. Where they were
    asked for, `views` float32 (N, V, K) are the scores of each view, `features` float32 (N, D) the classifier's input.
    """

    scores: np.ndarray
    labels: np.ndarray
    paths: np.ndarray
    class_names: np.ndarray
    num_frames: np.ndarray
    protocol: str
    average: str
    config: str
    checkpoint: str
    checkpoint_sha256: str
    list_file: str
    list_sha256: str
    root: str
    image_tmpl: str
    versions: str
    views: np.ndarray | None = None
    features: np.ndarray | None = None

    def save(self, path: Path) -> None:
        """Write the file; it is complete before it takes its name."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.npz")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            values = {name: value for name, value in asdict(self).items() if value is not None}
            arrays: dict[str, Any] = {name: np.asarray(value) for name, value in values.items()}
            np.savez_compressed(temporary, **arrays)
            temporary.replace(path)
        except OSError as error:
            raise UserError(f"{path}: can't be written ({error.strerror})") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def probabilities(self) -> np.ndarray:
        """float64 (N, K), rows summing to 1: softmax of averaged logits, or the averaged probabilities."""
        return self.scores.astype(np.float64) if self.average == "probabilities" else softmax(self.scores)


def check_writable(path: Path) -> None:
    """Raise `UserError` unless a score file can be written to `path`; makes its folder."""
    if path.suffix != ".npz" or path.is_dir():
        raise UserError(f"{path}: can't be a score file, needs a file's name that ends in .npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror})") from error


def load_results(path: Path) -> Results:
    """Read a score file; `UserError` that says what is wrong with a missing, foreign, empty or damaged one."""
    if not path.is_file():
        raise UserError(f"{path}: no such score file; anal_tools/get_reference_results.py writes one")
    values = _read_arrays(path)
    names = [field.name for field in fields(Results) if field.name in values or field.name not in OPTIONAL]
    missing = [name for name in names if name not in values]
    if missing:
        raise UserError(f"{path}: not a score file of get_reference_results.py: it has no {', '.join(missing)}")
    for name in names:
        dimensions, kind = {**ARRAYS, **OPTIONAL}.get(name, TEXT)
        if values[name].ndim != dimensions or values[name].dtype.kind != kind:
            raise UserError(f"{path}: not a score file of get_reference_results.py: {name} is of another type")
    contents: dict[str, Any] = {
        name: values[name] if name in (*ARRAYS, *OPTIONAL) else str(values[name]) for name in names
    }
    results = Results(**contents)
    _check(results, path)
    return results


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path}: not a score file, or one that was cut off: it is no .npz archive")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except UNREADABLE as error:
        raise UserError(f"{path}: not a score file that can be read ({error}); write it anew") from error


def _check(results: Results, path: Path) -> None:
    count, classes = results.scores.shape
    if count == 0:
        raise UserError(f"{path}: holds no videos; evaluate a list with at least one")
    if results.average not in AVERAGES:
        raise UserError(f"{path}: scores are averaged {results.average!r}, needs one of {', '.join(AVERAGES)}")
    if classes != len(results.class_names):
        raise UserError(f"{path}: scores of {classes} classes, names of {len(results.class_names)}; write it anew")
    for name in OPTIONAL:
        if getattr(results, name) is not None and len(getattr(results, name)) != count:
            raise UserError(f"{path}: {count} rows of scores, {len(getattr(results, name))} of {name}; write it anew")
    if not len(results.labels) == len(results.paths) == len(results.num_frames) == count:
        raise UserError(f"{path}: {count} rows of scores, {len(results.labels)} labels, {len(results.paths)} paths")
    if not np.isfinite(results.scores).all():
        bad = int((~np.isfinite(results.scores)).any(axis=1).sum())
        raise UserError(f"{path}: scores of {bad} videos are not finite; the checkpoint has diverged")
    if results.labels.min() < 0 or results.labels.max() >= classes:
        raise UserError(
            f"{path}: labels from {results.labels.min()} to {results.labels.max()}, needs 0 to {classes - 1}"
        )
