"""How a command ends: status 0, a status of its own, or 2 with the user's mistake and no traceback."""

import subprocess
import sys

import pytest

from tests.shared_material import REPOSITORY
from utils.errors import Mistake, UserError, run_command


def run_script(body: str) -> subprocess.CompletedProcess[str]:
    """A command whose `main` has this body."""
    script = f"from utils.errors import UserError, run_command\ndef main():\n    {body}\nrun_command(main)\n"
    return subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (143, 143)])
def test_the_status_is_what_main_returns(returned: int | None, status: int) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run_command(lambda: returned)
    assert exit_info.value.code == status


def test_a_users_mistake_is_a_line_each_and_status_2() -> None:
    done = run_script("raise UserError('list.txt:3: no such video', 'list.txt:9: label 7, needs 0 to 4')")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: list.txt:3: no such video\nerror: list.txt:9: label 7, needs 0 to 4\n"


def test_our_own_mistake_keeps_its_traceback() -> None:
    done = run_script("assert False, 'the count is wrong'")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "AssertionError: the count is wrong" in done.stderr


def test_a_user_error_reads_as_its_lines() -> None:
    error = UserError("first", "second")
    assert str(error) == "first\nsecond"
    assert error.lines == ("first", "second")
    with pytest.raises(AssertionError, match="needs at least one line"):
        UserError()


def test_a_mistake_is_where_and_what() -> None:
    path, message = Mistake("model.kwargs.t", "got 0, needs at least 1")
    assert (path, message) == ("model.kwargs.t", "got 0, needs at least 1")
