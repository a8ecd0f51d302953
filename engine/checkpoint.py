"""Checkpoints: complete, written so that no kill can harm the last one, checked before they are believed.

The file is torch's own zip archive, so `torch.load(path, weights_only=True)` reads it anywhere; the archive's
checksums (CRC-32 of every record) are verified here, which torch itself does not do.
"""

import contextlib
import errno
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from engine.transient import is_transient, os_error_of, reason_of, retried
from utils.errors import UserError

LATEST, BEST = "ckpt.pth.tar", "ckpt_best.pth.tar"
MUST_AGREE = ("type", "backbone", "num_class", "modality", "num_frames")
FREE_KWARGS = ("bn_group_size", "bn_sync_stats")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NEEDED = ("model", "optimizer", "scaler", "ema", "iteration", "config")


class DamagedCheckpoint(UserError):
    """A file that was a checkpoint and is not whole any more; an earlier one may stand in for it."""


def previous_name(number: int) -> str:
    """Name of the checkpoint `number` saves before the latest one."""
    return f"ckpt_previous{'' if number == 1 else number}.pth.tar"


def previous_checkpoints(folder: Path) -> dict[int, Path]:
    """The folder's checkpoints before the latest one, by how many saves ago, the newest first."""
    numbered = {
        re.fullmatch(r"ckpt_previous(\d*)\.pth\.tar", path.name): path for path in folder.glob("ckpt_previous*")
    }
    found = {int(match[1] or 1): path for match, path in numbered.items() if match}
    return dict(sorted(found.items()))


def save_checkpoint(folder: Path, state: dict[str, Any], *, best: bool, keep: int = 1) -> None:
    """Write `state` as the folder's latest checkpoint, and as its best one too with `best`; the last `keep` stay.

    A new file is complete on disk before it takes the old one's name; the best one is a hard link to the same bytes.
    What fails in passing is tried again. Raises `UserError` (disk full and the like); the old files stay as they were.
    """
    temporary = folder / f".{LATEST}.{os.getpid()}.tmp"
    try:
        retried(lambda: _write(temporary, state), folder / LATEST)
        retried(lambda: _publish(temporary, folder, best=best, keep=keep), folder / LATEST)
        retried(lambda: _sync_folder(folder), folder)
    except (OSError, RuntimeError) as error:
        raise UserError(_why_not_saved(folder, state, error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _write(path: Path, state: dict[str, Any]) -> None:
    with path.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())


def _publish(temporary: Path, folder: Path, *, best: bool, keep: int) -> None:
    """Give the new file its names; where that breaks off, it can be done over."""
    if best:
        _link(temporary, folder / BEST)
    _rotate(folder, keep)
    temporary.replace(folder / LATEST)


def _rotate(folder: Path, keep: int) -> None:
    """Let the latest checkpoint be a previous one too, and forget those beyond the last `keep`."""
    latest, previous = folder / LATEST, folder / previous_name(1)
    done = previous.is_file() and latest.is_file() and previous.samefile(latest)  # by a save that broke off here
    rotates = keep > 1 and latest.is_file() and not done
    for number, path in reversed(previous_checkpoints(folder).items()):
        if number >= keep:
            path.unlink()
        elif rotates and number < keep - 1:
            path.replace(folder / previous_name(number + 1))
    if rotates:
        _link(latest, previous)


def _link(source: Path, target: Path) -> None:
    """Let `target` be the same file as `source`, replacing what it was in one step."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        _copy(source, temporary)  # a file system without hard links
    temporary.replace(target)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        while block := reader.read(1 << 24):
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())


def _sync_folder(folder: Path) -> None:
    """A rename is on disk once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tensor_bytes(value: Any) -> int:
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return sum(_tensor_bytes(part) for part in parts)


def _why_not_saved(folder: Path, state: dict[str, Any], error: Exception) -> str:
    line = f"{folder / LATEST}: can't be written ({reason_of(error)})"
    found = os_error_of(error)
    if found is not None and found.errno in NO_ROOM:
        disk = os.statvfs(folder)
        need, have = _tensor_bytes(state) / 2**20, disk.f_bavail * disk.f_frsize / 2**20
        line += f"; it needs about {need:.0f} MB, {have:.0f} MB are free"
    return f"{line}; the last checkpoint is as it was"


def remove_leftovers(folder: Path) -> None:
    """Remove half-written files of starts that were killed while they saved."""
    for name in (LATEST, BEST, "ckpt_previous*"):
        for leftover in folder.glob(f".{name}.*.tmp"):
            leftover.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """One of our checkpoints, on the CPU; weights only: nothing in it is run.

    Raises `UserError` that says what is wrong with a missing or foreign file, `DamagedCheckpoint` for one that is
    truncated or has a flipped bit.
    """
    try:
        state = retried(lambda: _read(path), path)
    except (UserError, OSError) as error:
        if not is_transient(error):
            raise
        raise UserError(
            f"{path}: can't be read ({reason_of(error)}); nothing was changed: start again once the file system "
            "answers, or move the file away to go on from another one"
        ) from error
    missing = [key for key in NEEDED if not isinstance(state, dict) or key not in state]
    if missing:
        raise UserError(f"{path}: not a checkpoint of this program: it has no {', '.join(missing)}")
    return state


def _read(path: Path) -> Any:
    """What is in the file, once its checksums are found to be right."""
    if not path.is_file():
        raise UserError(f"{path}: no such checkpoint; correct --load-path")
    damaged = f"{path}: the checkpoint is damaged (%s)"
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except Exception as error:  # zipfile raises a dozen kinds too
        raise DamagedCheckpoint(damaged % (str(error) or type(error).__name__)) from error
    if broken is not None:
        raise DamagedCheckpoint(damaged % f"{broken} has the wrong checksum")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError) as error:
        raise DamagedCheckpoint(damaged % str(error).split("\n", 1)[0]) from error
    except Exception as error:  # torch raises a dozen kinds
        refused = f"{path}: can't be read as tensors and plain values alone; refused ({reason_of(error)})"
        raise UserError(refused) from error


def check_same_experiment(saved: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Compare a checkpoint's config with today's (both as plain dictionaries).

    What makes the method must agree, else `UserError` with each key; returns what else differs, a line each.
    """
    theirs, now = dict(_flat(saved)), dict(_flat(ours))
    differing = [key for key in sorted({*theirs, *now}) if theirs.get(key) != now.get(key)]
    lines = {key: f"{key}: the checkpoint has {theirs.get(key)!r}, the config {now.get(key)!r}" for key in differing}
    refused = [lines[key] for key in differing if _must_agree(key, now.get("model.type"))]
    if refused:
        raise UserError(
            "the checkpoint belongs to another config; change these keys back, or use another experiment folder:",
            *refused,
        )
    return [lines[key] for key in differing]


def _must_agree(key: str, method: str | None) -> bool:
    section, _, name = key.partition(".")
    if key == "optimizer":
        return True  # its state is of another kind
    if section != "model":
        return False
    if name == "num_frames":
        return method == "slowfast"
    return name in MUST_AGREE or (name.startswith("kwargs.") and name.split(".")[1] not in FREE_KWARGS)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested dictionaries as dotted keys."""
    pairs: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            pairs += _flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs
