"""Print the table of the folds: TSN beside TSM for each person held out, and over all of them.

python exps/weizmann_folds/table.py

Reads what run.sh has scored so far, and writes the table to exps/weizmann_folds/results/table.md.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # run as a file: the project's packages lie two folders up

from anal_tools.compare_runs import markdown  # noqa: E402
from anal_tools.joining import over_folds, over_videos, right_of  # noqa: E402
from anal_tools.results_file import Results, load_results  # noqa: E402
from utils.errors import UserError, run_command  # noqa: E402

METHODS = ("tsn", "tsm")
PROTOCOL = "tsm-twice-3crop"


def read_folds(folder: Path, method: str) -> dict[str, Results]:
    """Score files of a method by the person that was held out."""
    files = sorted(folder.glob(f"{method}_*/results/{PROTOCOL}.npz"))
    return {path.parts[-3].removeprefix(f"{method}_"): load_results(path) for path in files}


def _right(results: Results | None) -> str:
    return f"{int(right_of(results).sum())} of {len(results.labels)}" if results else "not yet"


def table(found: Mapping[str, Mapping[str, Results]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of `found`, score files by method and person: a row per person, then the means."""
    persons = sorted({person for folds in found.values() for person in folds})
    rows = [[person, *(_right(folds.get(person)) for folds in found.values())] for person in persons]
    every: Sequence[Sequence[Results]] = [list(folds.values()) for folds in found.values()]
    rows.append(["all videos, top-1 % (95 %)", *(over_videos(parts) if parts else "" for parts in every)])
    rows.append(["mean of the folds, top-1 % (95 %)", *(over_folds(parts) if parts else "" for parts in every)])
    return ["held out", *(f"{method.upper()} MobileNetV2" for method in found)], rows


def main() -> int:
    """Read, print, write; returns the exit status."""
    folder = REPOSITORY / "exps" / "weizmann_folds"
    found = {method: read_folds(folder, method) for method in METHODS}
    if not any(found.values()):
        raise UserError(f"{folder}: nothing scored yet; run `make results-weizmann` first")
    page = markdown(*table(found))
    print(page, end="")
    (folder / "results").mkdir(exist_ok=True)
    (folder / "results" / "table.md").write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_command(main)
