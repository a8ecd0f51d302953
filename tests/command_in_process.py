"""main.py inside the test's process: thousands of starts a minute, for what ends before anything is trained."""

import contextlib
import io
from pathlib import Path

from hypothesis import HealthCheck, settings

import main
from engine.log import LOGGER
from utils.errors import run_command


def status_of(*arguments: str) -> tuple[int, str]:
    """What the command exits with, and all that it prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            run_command(lambda: main.main(list(arguments)))
        except SystemExit as end:
            return int(end.code or 0), printed.getvalue()
        finally:
            for handler in list(LOGGER.handlers):
                LOGGER.removeHandler(handler)
            LOGGER.propagate = True
    raise AssertionError("run_command returned")


def everything_below(folder: Path) -> dict[str, int]:
    """All files and folders, and when they were written to."""
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


def fuzzing(examples: int) -> settings:
    """So many examples, the same ones in every run; nothing is kept on disk, and a slow machine is no fault."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


def refused_lines(status: int, printed: str) -> list[str]:
    """The lines of a refusal: status 2, no traceback, each one line that can be printed and read."""
    errors = [line for line in printed.splitlines() if line.startswith("error: ")]
    assert status == 2, (status, printed)
    assert errors, printed
    assert "Traceback" not in printed
    assert all(len(line) < 2000 for line in errors), printed
    printed.encode("utf-8")
    return errors
