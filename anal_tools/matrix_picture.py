"""The confusion matrix as a picture that can be read at 10 classes and at 400."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.use("Agg")

FEW_CLASSES = 40  # up to here every class has its name and every cell its number
BLOCK = 20  # classes of the enlarged part of a large matrix


def _shares(matrix: np.ndarray) -> np.ndarray:
    """Each row in percent of its videos."""
    return 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def similar_next_to_each_other(matrix: np.ndarray) -> np.ndarray:
    """An order of classes in which confused ones are neighbours: from a class to the one most confused with it."""
    shares = _shares(matrix)
    affinity = shares + shares.T
    np.fill_diagonal(affinity, -1)
    left = np.ones(len(matrix), dtype=bool)
    current = int(affinity.max(axis=1).argmax())
    order = []
    for _ in range(len(matrix)):
        order.append(current)
        left[current] = False
        if left.any():
            current = int(np.where(left, affinity[current], -2).argmax())
    return np.array(order)


def worst_block(matrix: np.ndarray) -> slice:
    """The run of BLOCK classes on the diagonal with the most confusions among them."""
    errors = matrix.astype(np.int64).copy()
    np.fill_diagonal(errors, 0)
    sums = [errors[i : i + BLOCK, i : i + BLOCK].sum() for i in range(len(matrix) - BLOCK + 1)]
    first = int(np.argmax(sums))
    return slice(first, first + BLOCK)


def _draw(axes: Axes, matrix: np.ndarray, names: Sequence[str], *, title: str, numbers: bool, size: int) -> None:
    shares = _shares(matrix)
    axes.imshow(shares if numbers else np.log1p(shares), cmap="Blues", aspect="equal", interpolation="nearest")
    axes.set_title(title)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    if len(names) > FEW_CLASSES:
        return
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    if not numbers:
        return
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if shares[row, column] > 50 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=size, color=colour)


def draw_matrix(path: Path, matrix: np.ndarray, names: Sequence[str], *, title: str) -> None:
    """Write the picture; `title` says protocol and accuracy. Cells are coloured by share of their row."""
    count = len(names)
    if count <= FEW_CLASSES:
        side = 4 + 0.42 * count
        figure = Figure(figsize=(side, side), layout="constrained")
        _draw(figure.subplots(), matrix, names, title=title, numbers=True, size=9)
        figure.savefig(path, dpi=120)
        return
    order = similar_next_to_each_other(matrix)
    ordered, ordered_names = matrix[np.ix_(order, order)], [str(names[i]) for i in order]
    block = worst_block(ordered)
    figure = Figure(figsize=(26, 13), layout="constrained")
    whole, part = figure.subplots(1, 2)
    _draw(
        whole,
        ordered,
        ordered_names,
        title=f"{title}\n{count} classes, confused ones side by side",
        numbers=False,
        size=8,
    )
    corner = (block.start - 0.5, block.start - 0.5)
    whole.add_patch(matplotlib.patches.Rectangle(corner, BLOCK, BLOCK, fill=False, edgecolor="red", linewidth=1.5))
    inside = ordered[block, block]
    worst = f"the {BLOCK} neighbours with the most confusions (red on the left), counts of videos"
    _draw(part, inside, ordered_names[block], title=worst, numbers=True, size=11)
    figure.savefig(path, dpi=100)
