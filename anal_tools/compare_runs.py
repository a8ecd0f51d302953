"""Several experiment folders side by side: where their configs differ, and their best results with intervals.

    python anal_tools/compare_runs.py exps/<set>/<one> exps/<set>/<other> ... [--out DIR]

Prints a table in markdown; with --out writes DIR/runs.html (one page, with the curves of loss, rate and validation),
runs.md, runs.csv, differences.csv and curves.csv. Of a run stand: its best checkpoint so far, by what protocol, and
every score file in its results/ with a 95 % interval.
"""

import argparse
import csv
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from anal_tools.results_file import load_results
from anal_tools.runs_page import Scalar, write_runs_page
from engine.calibration import bootstrap_interval
from engine.checkpoint import load_checkpoint
from engine.evaluation_table import with_interval
from engine.metrics import mean_class_accuracy, ranking
from utils.config_file import config_as_dict, load_config
from utils.errors import UserError, run_command

HEADER = ("run", "iteration", "protocol", "top-1 % (95 %)", "mean class %", "videos", "from")


class RunFacts(NamedTuple):
    """What a folder says: its config flat, a row per result, the points of its curves."""

    name: str
    config: dict[str, str]
    rows: list[list[str]]
    curves: list[Scalar]


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested keys as dotted ones, values as text."""
    found: dict[str, str] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": str(value)}
    return found


def read_run(folder: Path, name: str) -> RunFacts:
    """Look into an experiment folder; `UserError` for one that has no config."""
    config = next(
        (folder / each for each in ("config_resolved.yaml", "config.yaml") if (folder / each).is_file()), None
    )
    if config is None:
        raise UserError(f"{folder}: no config.yaml; needs an experiment's folder")
    rows = [*_checkpoint_rows(folder, name), *_result_rows(folder, name)]
    missing = [[name, "", "", "nothing evaluated yet", "", "", ""]]
    return RunFacts(name, flat(config_as_dict(load_config(config.absolute()))), rows or missing, _curves(folder, name))


def _checkpoint_rows(folder: Path, name: str) -> list[list[str]]:
    path = folder / "ckpt_best.pth.tar"
    if not path.is_file():
        return []
    state = load_checkpoint(path)
    best, iteration = state.get("best_metric", math.nan), str(state.get("best_iteration", state["iteration"]))
    return [[name, iteration, str(state.get("protocol", "")), f"{best:.2f}", "", "", path.name]]


def _result_rows(folder: Path, name: str) -> list[list[str]]:
    rows = []
    for path in sorted((folder / "results").glob("*.npz")):
        results = load_results(path)
        right = ranking(results.scores)[:, 0] == results.labels
        top1 = with_interval(100 * float(right.mean()), bootstrap_interval(right))
        mean_class = f"{100 * mean_class_accuracy(results.scores, results.labels):.2f}"
        rows.append([name, "", results.protocol, top1, mean_class, str(len(right)), f"results/{path.name}"])
    return rows


def _curves(folder: Path, name: str) -> list[Scalar]:
    if not (folder / "events").is_dir():
        return []
    events = EventAccumulator(str(folder / "events"), size_guidance={"scalars": 0})
    events.Reload()
    names = [each for each in events.Tags()["scalars"] if not each.startswith("time/")]
    return [Scalar(name, each, event.step, event.value) for each in names for event in events.Scalars(each)]


def differences(runs: Sequence[RunFacts]) -> list[list[str]]:
    """The keys whose values are not the same in all runs, a row each: key, value in each run."""
    keys = dict.fromkeys(key for run in runs for key in run.config)
    rows = [[key, *(run.config.get(key, "") for run in runs)] for key in keys]
    return [row for row in rows if len(set(row[1:])) > 1]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; bars in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def short_names(folders: Sequence[Path]) -> list[str]:
    """Each folder's own name, with as many parents as tell it from the others."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise UserError("a folder is given twice; needs different ones")
    depth = next(n for n in range(1, max(map(len, parts)) + 1) if len({each[-n:] for each in parts}) == len(parts))
    return ["/".join(each[-depth:]) for each in parts]


def write_files(out: Path, page: str, runs: Sequence[RunFacts]) -> None:
    """runs.html, runs.md, runs.csv, differences.csv and curves.csv in `out`."""
    rows = [row for run in runs for row in run.rows]
    changes, scalars = differences(runs), [point for run in runs for point in run.curves]
    names = [run.name for run in runs]
    tables: dict[str, list[Sequence[Any]]] = {
        "runs.csv": [HEADER, *rows],
        "differences.csv": [["key", *names], *changes],
        "curves.csv": [Scalar._fields, *scalars],
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "runs.md").write_text(page, encoding="utf-8")
        write_runs_page(out / "runs.html", names, header=HEADER, rows=rows, differences=changes, scalars=scalars)
        for name, lines in tables.items():
            with (out / name).open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(lines)
    except OSError as error:
        raise UserError(f"{out}: can't be written ({error.strerror})") from error


def main(arguments: list[str] | None = None) -> int:
    """Read, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description="Experiment folders side by side.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="experiment folders")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write tables into")
    options = parser.parse_args(arguments)
    runs = [read_run(folder, name) for folder, name in zip(options.folders, short_names(options.folders))]
    page = markdown(HEADER, [row for run in runs for row in run.rows])
    page += "\n" + markdown(["config", *(run.name for run in runs)], differences(runs))
    print(page, end="")
    if options.out:
        write_files(options.out, page, runs)
    return 0


if __name__ == "__main__":
    run_command(main)
