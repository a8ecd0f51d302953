"""Print the demo's table: TSN against TSM on classes that motion alone tells apart.

python exps/demo/compare.py
"""

import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # run as a file: the project's packages lie two folders up

from anal_tools.results_file import Results, load_results  # noqa: E402
from utils.errors import run_command  # noqa: E402

# A motion and its reverse show the same frames in the other order.
REVERSES = (
    ("pan_left", "pan_right"),
    ("pan_up", "pan_down"),
    ("zoom_in", "zoom_out"),
    ("turn_clockwise", "turn_counter_clockwise"),
)


def top1(results: Results) -> float:
    """Percent of videos whose label has the highest score."""
    return 100.0 * float(np.mean(results.scores.argmax(axis=1) == results.labels))


def told_from_reverse(results: Results) -> float:
    """Percent of videos whose class scores higher than its reverse: 50 is chance."""
    names = list(results.class_names)
    reverse = np.empty(len(names), dtype=np.int64)
    for one, other in REVERSES:
        reverse[names.index(one)], reverse[names.index(other)] = names.index(other), names.index(one)
    rows = np.arange(len(results.labels))
    right = results.scores[rows, results.labels] > results.scores[rows, reverse[results.labels]]
    return 100.0 * float(right.mean())


def main() -> int:
    """Read the four score files of the demo and print one table."""
    folder = REPOSITORY / "exps" / "demo"
    print(f"{'method':8}{'protocol':22}{'videos':>8}{'top-1 %':>10}{'told from its reverse %':>26}")
    for method in ("tsn", "tsm"):
        for file in ("center", "dense"):
            results = load_results(folder / method / "results" / f"{file}.npz")
            print(
                f"{method:8}{results.protocol:22}{len(results.labels):8d}"
                f"{top1(results):10.1f}{told_from_reverse(results):26.1f}"
            )
    print(f"\nchance: {100 / 8:.1f} % of 8 classes, 50 % between a motion and its reverse")
    for method in ("tsn", "tsm"):
        print(f"{method}: {(folder / method).relative_to(REPOSITORY)}/log.txt, events/, results/center/errors.html")
    return 0


if __name__ == "__main__":
    run_command(main)
