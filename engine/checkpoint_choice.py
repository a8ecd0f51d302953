"""Which checkpoint a start goes on from: the newest whole one; a damaged one is named, set aside and never trusted."""

from pathlib import Path
from typing import Any, NamedTuple

from engine.checkpoint import BEST, LATEST, DamagedCheckpoint, load_checkpoint, previous_checkpoints
from engine.transient import reason_of, retried
from utils.errors import UserError

SET_ASIDE = ".damaged"


class Found(NamedTuple):
    """The checkpoint to go on from, what is in it, and what the log must say about the ones passed over."""

    path: Path
    state: dict[str, Any]
    damaged: list[Path]
    lines: list[str]


def candidates(folder: Path) -> list[Path]:
    """The folder's checkpoints, the latest first: `ckpt.pth.tar`, the previous ones, the best one."""
    latest, best = folder / LATEST, folder / BEST
    return [path for path in (latest, *previous_checkpoints(folder).values(), best) if path.is_file()]


def find_checkpoint(folder: Path) -> Found | None:
    """The latest checkpoint, or the newest whole one where that is damaged or gone; None in a fresh folder.

    Raises `UserError` where there are checkpoints and none of them is whole, or where one is another program's.
    """
    paths = _listed(folder)
    if not paths:
        return None
    whole: list[tuple[Path, dict[str, Any]]] = []
    damaged: dict[Path, str] = {}
    for path in paths:
        try:
            whole = max(whole, [(path, load_checkpoint(path))], key=_iteration)
        except DamagedCheckpoint as error:
            damaged[path] = error.lines[0]
        if whole and whole[0][0].name == LATEST:
            break
    if not whole:
        *others, last = damaged.values()
        remedy = f"nothing was overwritten: restore one as {LATEST}, or move all of them away to start anew"
        raise UserError(*others, f"{last}; {folder} has no other checkpoint; {remedy}")
    path, state = whole[0]
    lines = [*damaged.values()]
    if path.name != LATEST:
        gone = [] if (folder / LATEST).exists() else [f"{folder / LATEST} is missing"]
        lines += [*gone, f"going on from {path.name}, the newest whole checkpoint, at iteration {state['iteration']}"]
    return Found(path, state, list(damaged), lines)


def _listed(folder: Path) -> list[Path]:
    try:
        return retried(lambda: candidates(folder), folder)
    except OSError as error:
        raise UserError(f"{folder}: can't be listed ({reason_of(error)}): start again once it can") from error


def _iteration(whole: list[tuple[Path, dict[str, Any]]]) -> int:
    return whole[0][1]["iteration"] if whole else -1


def set_aside(damaged: list[Path]) -> None:
    """Rename damaged files, so that no later save pushes a whole one out in their favour; they stay to be looked at."""
    for path in damaged:
        path.replace(path.with_name(path.name + SET_ASIDE))
