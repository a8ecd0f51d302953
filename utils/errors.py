"""The one exception that is the user's to mend, and how a command reports it."""

import sys
from collections.abc import Callable
from typing import NamedTuple, NoReturn


class UserError(Exception):
    """A mistake in the user's config, data or command line; each line says what it got, what it needs, what to do.

    Commands print the lines without a traceback and exit with status 2 (see `run_command`).
    """

    def __init__(self, *lines: str) -> None:
        assert lines, "a UserError needs at least one line"
        super().__init__("\n".join(lines))
        self.lines = lines


class Mistake(NamedTuple):
    """One thing wrong with a config: where, without the leading `common.` (`model.kwargs.t`), and got / needs / do."""

    path: str
    message: str


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Run a command's `main` and exit with its status; a `UserError` becomes its lines on stderr and status 2."""
    try:
        status = main()
    except UserError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status or 0)
