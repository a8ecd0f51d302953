"""The demo's table: what it counts, by hand, and the command on score files."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from anal_tools.results_file import Results
from exps.demo.compare import REVERSES, told_from_reverse, top1
from tests.anal_tools.score_files import results
from tests.experiments import environment
from tests.shared_material import REPOSITORY

CLASSES = sorted(name for pair in REVERSES for name in pair)


def scored(rows: list[tuple[str, dict[str, float]]], protocol: str = "center") -> Results:
    """Videos of the demo's classes: the label, and the scores that are not 0."""
    scores = np.zeros((len(rows), len(CLASSES)), dtype=np.float32)
    for row, (_, named) in enumerate(rows):
        for name, score in named.items():
            scores[row, CLASSES.index(name)] = score
    return results(
        scores=scores,
        labels=np.array([CLASSES.index(label) for label, _ in rows]),
        paths=np.array([f"v{row}" for row in range(len(rows))]),
        class_names=np.array(CLASSES),
        num_frames=np.full(len(rows), 9),
        protocol=protocol,
    )


FOUR = [
    ("pan_left", {"pan_left": 2.0, "pan_right": 1.0}),  # right
    ("pan_left", {"pan_left": 1.0, "pan_right": 2.0}),  # its reverse
    ("zoom_in", {"turn_clockwise": 3.0, "zoom_in": 2.0, "zoom_out": 1.0}),  # wrong, but not for its reverse
    ("turn_counter_clockwise", {"turn_counter_clockwise": 1.0}),  # right
]


def test_each_class_has_one_reverse() -> None:
    assert len(CLASSES) == len(set(CLASSES)) == 8


def test_top1_and_told_from_reverse_by_hand() -> None:
    assert top1(scored(FOUR)) == 50.0
    assert told_from_reverse(scored(FOUR)) == 75.0


def test_a_score_that_equals_its_reverses_is_not_told_from_it() -> None:
    assert told_from_reverse(scored([("pan_up", {"pan_up": 1.0, "pan_down": 1.0})])) == 0.0


def test_a_constant_guess_tells_half_from_their_reverse() -> None:
    guess = {name: float(number) for number, name in enumerate(CLASSES)}
    assert told_from_reverse(scored([(name, guess) for name in CLASSES])) == 50.0


def compare(repository: Path) -> subprocess.CompletedProcess[str]:
    """The command in a repository of its own, whose packages are ours."""
    (repository / "exps" / "demo").mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "exps" / "demo" / "compare.py", repository / "exps" / "demo")
    for package in ("anal_tools", "engine", "utils"):
        (repository / package).symlink_to(REPOSITORY / package)
    command = [sys.executable, str(repository / "exps" / "demo" / "compare.py")]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)


def test_the_table_has_a_row_per_score_file(tmp_path: Path) -> None:
    for method, rows in (("tsn", FOUR[1:3]), ("tsm", FOUR)):
        for file, protocol in (("center", "center"), ("dense", f"{method}-dense")):
            scored(rows, protocol).save(tmp_path / "exps" / "demo" / method / "results" / f"{file}.npz")
    done = compare(tmp_path)
    assert done.returncode == 0, done.stderr
    head, *rows = [line.split() for line in done.stdout.splitlines()[:5]]
    assert head[:3] == ["method", "protocol", "videos"]
    assert rows == [
        ["tsn", "center", "2", "0.0", "50.0"],
        ["tsn", "tsn-dense", "2", "0.0", "50.0"],
        ["tsm", "center", "4", "50.0", "75.0"],
        ["tsm", "tsm-dense", "4", "50.0", "75.0"],
    ]
    assert "chance: 12.5 % of 8 classes" in done.stdout


def test_a_demo_that_has_not_run_is_told_in_a_line(tmp_path: Path) -> None:
    done = compare(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "exps/demo/tsn/results/center.npz: no such score file" in done.stderr


@pytest.mark.parametrize("pair", REVERSES)
def test_both_of_a_pair_are_told_from_the_other(pair: tuple[str, str]) -> None:
    one, other = pair
    both = scored([(one, {one: 1.0}), (other, {other: 1.0}), (one, {other: 1.0})])
    assert told_from_reverse(both) == pytest.approx(100 * 2 / 3)
