"""One self-contained page of everything: opens from disk without a network, light and dark, by mouse and by keyboard.

The page holds its data as JSON and draws it itself (templates/report.html): of each video the path, label, five best
classes and loss, so the matrix and the videos of any cell need nothing else.
"""

import json
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from anal_tools.error_page import TEMPLATES, Shown
from anal_tools.findings import Against, accuracy_by_length, label_suspects, losses_of
from anal_tools.matrix_picture import similar_next_to_each_other
from anal_tools.results_file import Results
from anal_tools.tables import TOP, predicted_matrix, top_errors
from engine.calibration import reliability_curve
from engine.metrics import ranking


def report_data(
    results: Results,
    shown: Sequence[Shown],
    *,
    summary: dict[str, str],
    compared: Sequence[Against],
    cams: Container[int] = (),
) -> dict[str, Any]:
    """What the page draws, as plain lists: probabilities in thousandths, losses in hundredths of a nat.

    `shown` are the errors with their frames, in any order; two lists say in which order to show them. `cams`: the rows
    of which gradcam.py has drawn maps.
    """
    probabilities = results.probabilities()
    top = ranking(results.scores)[:, :TOP]
    rows = {each.error.row for each in shown}
    order = similar_next_to_each_other(predicted_matrix(results))
    return {
        "summary": summary,
        "classes": [str(name) for name in results.class_names],
        "order": order.tolist(),
        "paths": results.paths.tolist(),
        "labels": results.labels.tolist(),
        "frames": results.num_frames.tolist(),
        "top": top.tolist(),
        "shares": np.round(1000 * np.take_along_axis(probabilities, top, axis=1)).astype(int).tolist(),
        "losses": np.round(100 * losses_of(results)).astype(int).tolist(),
        "errors": [
            {
                "row": each.error.row,
                "sheet": each.sheet,
                "clip": each.clip,
                "width": each.width,
                "missing": each.missing,
                "cam": each.error.row in cams,
            }
            for each in shown
        ],
        "by_confidence": [error.row for error in top_errors(results) if error.row in rows],
        "by_loss": [error.row for error in top_errors(results, by_loss=True) if error.row in rows],
        "suspects": [each.row for each in label_suspects(results)],
        "calibration": [
            [each.videos, each.confidence, each.accuracy] if each.videos else [0, 0, 0]
            for each in reliability_curve(probabilities, results.labels)
        ],
        "lengths": [list(part) for part in accuracy_by_length(results)],
        "compared": {row.name: [row.accuracy - row.other, row.p] for row in compared},
    }


def write_report(
    path: Path, results: Results, shown: Sequence[Shown], *, summary: dict[str, str], compared: Sequence[Against] = ()
) -> None:
    """Write the page; `shown` are the errors with their frames. Maps in cams/ beside it are linked."""
    cams = {int(each.stem) for each in (path.parent / "cams").glob("*.webp") if each.stem.isdecimal()}
    data = report_data(results, shown, summary=summary, compared=compared, cams=cams)
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")  # no tag ends the script
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True)
    title = f"{results.protocol}: top-1 {summary['top-1']}"
    page = environment.get_template("report.html").render(data=text, title=title)
    path.write_text(page, encoding="utf-8")
