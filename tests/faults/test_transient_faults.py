"""EIO and ESTALE that pass: saving and opening try again; where they stay, one line names them and nothing is lost.

The faults come from a library that is preloaded in front of the C library's own calls.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.checkpoint import BEST, LATEST, previous_name
from tests.experiments import environment
from tests.faults.failing_saves import FOR_EVER, LOADS, SAVES
from tests.shared_material import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.faults]
FILES = sorted([LATEST, previous_name(1), previous_name(2), BEST, "log.txt"])


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and Linux")
    folder = tmp_path_factory.mktemp("faults")
    library = folder / "failing_calls.so"
    source = Path(__file__).with_name("failing_calls.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    finished = subprocess.run(
        [sys.executable, "-m", "tests.faults.failing_saves", str(folder)],
        env={**environment(), "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join([str(REPOSITORY)])},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.parametrize(("call", "number"), SAVES)
def test_a_save_that_fails_twice_is_made_up_for(call: str, number: str, results: dict[str, Any]) -> None:
    found = results[f"save {call} {number}"]
    if call == "link":  # a file system without links is copied on, at once
        assert found["left"] < 2
    else:
        assert found["left"] == 0, "the faults were not met"
        assert any("trying again in 0.25 s" in line for line in found["log"])
    assert found["lines"] == []
    assert found["iterations"] == {LATEST: 4, previous_name(1): 3, BEST: 3}
    assert found["names"] == FILES


def test_a_save_that_fails_for_ever_is_named_and_leaves_the_last_one(results: dict[str, Any]) -> None:
    found = results["save write EIO for ever"]
    assert found["left"] <= FOR_EVER - 4, "tried four times"
    (line,) = found["lines"]
    assert line.endswith(f"{LATEST}: can't be written (Input/output error); the last checkpoint is as it was")
    assert found["iterations"] == {LATEST: 4, previous_name(1): 2, BEST: 1}
    assert found["names"] == FILES
    assert 4 <= results["seconds"] < 60


@pytest.mark.parametrize(("call", "number"), LOADS)
def test_opening_that_fails_twice_finds_the_latest(call: str, number: str, results: dict[str, Any]) -> None:
    assert results[f"load {call} {number}"] == {"left": 0, "found": 4, "kind": "int"}


@pytest.mark.parametrize(("call", "number"), LOADS)
def test_opening_that_fails_for_ever_is_no_damage(call: str, number: str, results: dict[str, Any]) -> None:
    found = results[f"load {call} {number} for ever"]
    assert found["left"] < FOR_EVER - 3
    reason = os.strerror(5 if number == "EIO" else 116)
    (line,) = found["found"]
    assert f"{LATEST}: can't be read ({reason}); nothing was changed: start again once the file system answers" in line
