"""From scores to what went wrong: confusion matrix, classes, most confident errors with frames, confused pairs.

    python anal_tools/analyze.py results.npz --out DIR [--root FOLDER] [--against other.npz] [--html]

writes DIR/confusion_matrix.csv and .png, per_class.csv, errors_top100.csv, errors_by_loss_top100.csv, errors.html,
confused_pairs.csv, label_suspects.csv, calibration.csv, accuracy_by_length.csv, summary.json; with --against
against.csv, a row per class; with --html report.html, one page with all of it.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a file: the packages lie one folder up

from anal_tools import tables
from anal_tools.error_page import with_frames, write_page
from anal_tools.findings import (
    Against,
    accuracy_by_length,
    against,
    label_suspects,
    losses_of,
    write_against,
    write_calibration,
    write_lengths,
    write_suspects,
)
from anal_tools.fusion import check_same_videos
from anal_tools.matrix_picture import draw_matrix
from anal_tools.report import write_report
from anal_tools.results_file import Results, load_results
from engine.calibration import bootstrap_interval, calibration_error, reliability_curve
from engine.metrics import mean_class_accuracy, ranking, top_k_accuracy
from utils.errors import UserError, run_command

PRINTED_PAIRS = 5


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Confusion matrix, classes, errors and confused pairs of scores.")
    parser.add_argument("results", type=Path, help="score file of get_reference_results.py")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    parser.add_argument("--root", type=Path, help="folder that the videos' paths start from, if it has moved")
    parser.add_argument("--against", type=Path, help="score file of another run on the same list, to compare with")
    parser.add_argument("--html", action="store_true", help="write report.html too")
    return parser.parse_args(arguments)


def summarise(results: Results) -> dict[str, str]:
    """Counts and accuracies, with the protocol that they are of."""
    top5 = min(tables.TOP, len(results.class_names))
    accuracies = {
        "top-1": top_k_accuracy(results.scores, results.labels, 1),
        "top-5": top_k_accuracy(results.scores, results.labels, top5),
        "mean class accuracy": mean_class_accuracy(results.scores, results.labels),
    }
    interval = bootstrap_interval(ranking(results.scores)[:, 0] == results.labels)
    curve = reliability_curve(results.probabilities(), results.labels)
    return {
        "videos": str(len(results.labels)),
        "classes": str(len(results.class_names)),
        "protocol": results.protocol,
        **{name: f"{100 * value:.2f} %" for name, value in accuracies.items()},
        "95 % interval of top-1": f"{100 * interval.low:.2f} to {100 * interval.high:.2f} %",
        "negative log likelihood": f"{losses_of(results).mean():.4f}",
        "calibration error": f"{100 * calibration_error(curve):.2f} % (15 bins)",
        "checkpoint": results.checkpoint,
        "list": results.list_file,
    }


def write_tables(results: Results, out: Path) -> None:
    """Every csv, and the picture of the matrix."""
    names = [str(name) for name in results.class_names]
    matrix = tables.predicted_matrix(results)
    tables.write_matrix(out / "confusion_matrix.csv", matrix, names)
    accuracy = 100 * top_k_accuracy(results.scores, results.labels, 1)
    title = f"{results.protocol}: top-1 {accuracy:.2f} % of {len(results.labels)} videos"
    draw_matrix(out / "confusion_matrix.png", matrix, names, title=title)
    tables.write_classes(out / "per_class.csv", results, matrix)
    tables.write_errors(out / "errors_top100.csv", tables.top_errors(results))
    tables.write_errors(out / "errors_by_loss_top100.csv", tables.top_errors(results, by_loss=True))
    tables.write_pairs(out / "confused_pairs.csv", tables.confused_pairs(matrix, names))
    write_suspects(out / "label_suspects.csv", label_suspects(results))
    write_calibration(out / "calibration.csv", reliability_curve(results.probabilities(), results.labels))
    write_lengths(out / "accuracy_by_length.csv", accuracy_by_length(results))


def analyse(
    results: Results, out: Path, root: Path, *, other: Results | None = None, html: bool = False
) -> dict[str, str]:
    """Write all files; returns the summary."""
    summary = summarise(results)
    write_tables(results, out)
    compared = against(results, other) if other else []
    if other:
        write_against(out / "against.csv", compared)
        summary["against"] = _difference(compared[0], other)
    confident = tables.top_errors(results)
    by_row = {error.row: error for error in [*tables.top_errors(results, by_loss=True), *confident]}
    shown = with_frames(list(by_row.values()) if html else confident, results, root)
    missing = [each.missing for each in shown if each.missing]
    if missing:
        print(f"warning: {len(missing)} of {len(shown)} errors are shown without frames, e.g. {missing[0]}")
    by_rank = {each.error.row: each for each in shown}
    write_page(out / "errors.html", [by_rank[error.row] for error in confident], summary=summary)
    if html:
        write_report(out / "report.html", results, shown, summary=summary, compared=compared)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    names = [str(name) for name in results.class_names]
    pairs = tables.confused_pairs(tables.predicted_matrix(results), names)
    for first, second, both, _, _ in pairs[:PRINTED_PAIRS]:
        print(f"confused: {first} and {second}, {both} videos")
    return summary


def _difference(row: Against, other: Results) -> str:
    change = 100 * (row.accuracy - row.other)
    return f"{change:+.2f} % top-1 against {100 * row.other:.2f} % of {other.checkpoint} (McNemar's p {row.p:.3g})"


def main(arguments: list[str] | None = None) -> int:
    """Read, write, print the summary; returns the exit status."""
    options = parse_options(arguments)
    results = load_results(options.results)
    other = load_results(options.against) if options.against else None
    if other:
        check_same_videos(results, other, options.against)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        root = options.root or Path(results.root)
        summary = analyse(results, options.out, root, other=other, html=options.html)
    except OSError as error:
        raise UserError(f"{options.out}: can't be written ({error.strerror})") from error
    for name, value in summary.items():
        print(f"{name}: {value}")
    print(f"written to {options.out}: confusion_matrix.png, {'report' if options.html else 'errors'}.html and tables")
    return 0


if __name__ == "__main__":
    run_command(main)
