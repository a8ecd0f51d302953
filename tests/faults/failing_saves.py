"""Run with failing_calls.so preloaded: saves and loads while calls of the system fail; prints what happened as JSON.

LD_PRELOAD=failing_calls.so python -m tests.faults.failing_saves FOLDER
"""

import ctypes
import errno
import json
import sys
import time
from pathlib import Path
from typing import Any

from engine.checkpoint import BEST, LATEST, load_checkpoint, previous_name
from engine.checkpoint_choice import find_checkpoint
from engine.checkpoint_writer import CheckpointWriter
from engine.log import open_log
from tests.engine.test_checkpoint import names, state
from utils.errors import UserError

FOR_EVER = 1_000_000
SAVES = [(call, number) for call in ("open", "write", "fsync", "rename", "link") for number in ("EIO", "ESTALE")]
LOADS = [("open", "ESTALE"), ("read", "EIO")]
injector = ctypes.CDLL(None)


def fail(call: str, number: str, times: int) -> None:
    injector.fail_next(call.encode(), getattr(errno, number), times)


def iterations(folder: Path) -> dict[str, int]:
    return {name: load_checkpoint(folder / name)["iteration"] for name in (LATEST, previous_name(1), BEST)}


def saved(folder: Path, call: str, number: str, times: int) -> dict[str, Any]:
    """Saves 1 to 4, the third one (a best one) meets the faults."""
    folder.mkdir()
    open_log(folder / "log.txt", rank=0)
    lines: list[str] = []
    left = 0
    with CheckpointWriter(folder, extra={}, keep=3, background=True) as writer:
        for iteration in (1, 2, 3, 4):
            if iteration == 3:
                fail(call, number, times)
            writer.start(state(iteration), best=iteration in (1, 3))
            lines += writer.wait()
            left = injector.failures_left() if iteration == 3 else left
            fail("", "EIO", 0)
    return {
        "left": left,
        "lines": lines,
        "iterations": iterations(folder),
        "names": sorted(names(folder)),
        "log": (folder / "log.txt").read_text().splitlines(),
    }


def loaded(folder: Path, call: str, number: str, times: int) -> dict[str, Any]:
    """What a start finds in the folder of an earlier `saved`."""
    fail(call, number, times)
    try:
        found: Any = find_checkpoint(folder).state["iteration"]
    except UserError as error:
        found = list(error.lines)
    left = injector.failures_left()
    fail("", "EIO", 0)
    return {"left": left, "found": found, "kind": type(found).__name__}


def main() -> None:
    folder = Path(sys.argv[1])
    results: dict[str, Any] = {}
    for call, number in SAVES:
        results[f"save {call} {number}"] = saved(folder / f"{call} {number}", call, number, 2)
    started = time.monotonic()
    results["save write EIO for ever"] = saved(folder / "for ever", "write", "EIO", FOR_EVER)
    results["seconds"] = time.monotonic() - started
    for call, number in LOADS:
        results[f"load {call} {number}"] = loaded(folder / "open EIO", call, number, 2)
        results[f"load {call} {number} for ever"] = loaded(folder / "open EIO", call, number, FOR_EVER)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
