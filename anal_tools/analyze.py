"""From scores to what went wrong: confusion matrix, classes, most confident errors with frames, confused pairs.

    python anal_tools/analyze.py results.npz --out DIR [--root FOLDER]

writes DIR/confusion_matrix.csv and .png, per_class.csv, errors_top100.csv, errors.html, confused_pairs.csv,
summary.json.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools import tables
from anal_tools.error_page import with_frames, write_page
from anal_tools.matrix_picture import draw_matrix
from anal_tools.results_file import Results, load_results
from engine.metrics import mean_class_accuracy, top_k_accuracy
from utils.errors import UserError, run_command

PRINTED_PAIRS = 5


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Confusion matrix, classes, errors and confused pairs of scores.")
    parser.add_argument("results", type=Path, help="score file of get_reference_results.py")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    parser.add_argument("--root", type=Path, help="folder that the videos' paths start from, if it has moved")
    return parser.parse_args(arguments)


def summarise(results: Results) -> dict[str, str]:
    """Counts and accuracies, with the protocol that they are of."""
    top5 = min(tables.TOP, len(results.class_names))
    accuracies = {
        "top-1": top_k_accuracy(results.scores, results.labels, 1),
        "top-5": top_k_accuracy(results.scores, results.labels, top5),
        "mean class accuracy": mean_class_accuracy(results.scores, results.labels),
    }
    return {
        "videos": str(len(results.labels)),
        "classes": str(len(results.class_names)),
        "protocol": results.protocol,
        **{name: f"{100 * value:.2f} %" for name, value in accuracies.items()},
        "checkpoint": results.checkpoint,
        "list": results.list_file,
    }


def analyse(results: Results, out: Path, root: Path) -> dict[str, str]:
    """Write all files; returns the summary."""
    summary = summarise(results)
    names = [str(name) for name in results.class_names]
    matrix, errors = tables.predicted_matrix(results), tables.top_errors(results)
    tables.write_matrix(out / "confusion_matrix.csv", matrix, names)
    title = f"{summary['protocol']}: top-1 {summary['top-1']} of {summary['videos']} videos"
    draw_matrix(out / "confusion_matrix.png", matrix, names, title=title)
    tables.write_classes(out / "per_class.csv", results, matrix)
    tables.write_errors(out / "errors_top100.csv", errors)
    pairs = tables.confused_pairs(matrix, names)
    tables.write_pairs(out / "confused_pairs.csv", pairs)
    shown = with_frames(errors, results, root)
    missing = [each.missing for each in shown if each.missing]
    if missing:
        print(f"warning: {len(missing)} of {len(shown)} errors are shown without frames, e.g. {missing[0]}")
    write_page(out / "errors.html", shown, summary=summary)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    for first, second, both, _, _ in pairs[:PRINTED_PAIRS]:
        print(f"confused: {first} and {second}, {both} videos")
    return summary


def main(arguments: list[str] | None = None) -> int:
    """Read, write, print the summary; returns the exit status."""
    options = parse_options(arguments)
    results = load_results(options.results)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        summary = analyse(results, options.out, options.root or Path(results.root))
    except OSError as error:
        raise UserError(f"{options.out}: can't be written ({error.strerror})") from error
    for name, value in summary.items():
        print(f"{name}: {value}")
    print(f"written to {options.out}: confusion_matrix.png, errors.html and tables")
    return 0


if __name__ == "__main__":
    run_command(main)
