"""One table of evaluations by several protocols: accuracies with their intervals, likelihood, calibration."""

from collections.abc import Sequence

import numpy as np

from engine.calibration import Interval, bootstrap_interval, mean_class_interval
from engine.evaluation import Evaluation
from engine.metrics import ranking

HEADER = ("protocol", "top-1 % (95 %)", "top-5 %", "mean class % (95 %)", "NLL", "ECE %", "views", "videos")


def with_interval(value: float, interval: Interval) -> str:
    """`71.23 (70.60 - 71.90)`, of a value in percent and an interval from 0 to 1."""
    return f"{value:.2f} ({100 * interval.low:.2f} - {100 * interval.high:.2f})"


def _row(evaluation: Evaluation) -> tuple[str, ...]:
    right = ranking(evaluation.scores)[:, 0] == evaluation.labels
    return (
        evaluation.protocol.name,
        with_interval(evaluation.top1, bootstrap_interval(right)),
        f"{evaluation.top5:.2f}",
        with_interval(evaluation.mean_class, mean_class_interval(right, evaluation.labels)),
        f"{evaluation.nll:.4f}",
        f"{evaluation.calibration_error:.2f}",
        str(evaluation.protocol.views),
        str(len(evaluation.labels)),
    )


def table_lines(evaluations: Sequence[Evaluation]) -> list[str]:
    """The table in aligned columns, a line per protocol below a header."""
    rows = [HEADER, *(_row(evaluation) for evaluation in evaluations)]
    widths = np.array([[len(cell) for cell in row] for row in rows]).max(axis=0)
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
