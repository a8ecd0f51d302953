"""One self-contained page of several runs: curves over iterations, best results with intervals, config differences."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2

TEMPLATES = Path(__file__).resolve().parent / "templates"
MOST_POINTS = 400  # of a curve; longer ones are averaged over neighbours


class Scalar(NamedTuple):
    """A point of a curve of a run."""

    run: str
    curve: str
    iteration: int
    value: float


def thinned(points: Sequence[tuple[int, float]], most: int = MOST_POINTS) -> list[tuple[int, float]]:
    """At most `most` points (iteration, value): the last iteration and the mean of equal groups of neighbours.

    A group with a value that is not finite is not finite: what diverged stays in sight.
    """
    size = math.ceil(len(points) / most)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def curves_by_name(scalars: Sequence[Scalar]) -> dict[str, dict[str, list[list[float | None]]]]:
    """Points by curve and run, in the order of the iterations; a value that is not finite is None (JSON has no NaN)."""
    found: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for each in scalars:
        found.setdefault(each.curve, {}).setdefault(each.run, []).append((each.iteration, each.value))
    return {
        curve: {
            run: [
                [iteration, round(value, 6) if math.isfinite(value) else None] for iteration, value in thinned(points)
            ]
            for run, points in runs.items()
        }
        for curve, runs in found.items()
    }


def write_runs_page(
    path: Path,
    runs: Sequence[str],
    *,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    differences: Sequence[Sequence[str]],
    scalars: Sequence[Scalar],
) -> None:
    """Write the page: `rows` below `header` are results, the run's name first; `differences` are a key and its values.

    Raises `OSError` where it can't be written.
    """
    data = {"runs": list(runs), "curves": curves_by_name(scalars)}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")  # no tag ends the script
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True)
    page = environment.get_template("runs.html").render(
        data=text, runs=list(runs), header=header, rows=rows, differences=differences
    )
    path.write_text(page, encoding="utf-8")
