"""The confusion matrix as a picture that can be read at 10 classes and at 400: right ones blue, confusions orange."""

import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

matplotlib.use("Agg")

FEW_CLASSES = 40  # up to here every class has its name and every cell its number
BLOCK = 20  # classes of the enlarged part of a large matrix
NAME_WIDTH = 36  # characters of a line of a class name, which has two lines at most
FAINTEST = 0.35  # of the colour scale, where a cell is too small for a number: a single video stays visible
WIDE_FONTS = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "SimHei", "Microsoft YaHei", "PingFang SC")


def _shares(matrix: np.ndarray) -> np.ndarray:
    """Each row as parts of its videos, 0 to 1."""
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


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


def short_name(name: str) -> str:
    """A class name in two lines at most; what is left out shows as dots."""
    return textwrap.fill(name, NAME_WIDTH, max_lines=2, placeholder=" ...")


def cell_colours(shares: np.ndarray, *, faintest: float) -> np.ndarray:
    """RGBA (K, K, 4) of parts of rows: white is none, `faintest` (0 to 1) the colour of the smallest, dark is all."""
    strength = np.where(shares > 0, faintest + (1 - faintest) * shares, 0)
    colours = matplotlib.colormaps["Oranges"](strength)
    diagonal = np.arange(len(shares))
    colours[diagonal, diagonal] = matplotlib.colormaps["Blues"](strength[diagonal, diagonal])
    colours[strength == 0] = 1
    return colours


def _draw_whole(axes: Axes, matrix: np.ndarray, block: slice, *, title: str) -> None:
    """A large matrix without names, a frame around its worst block."""
    axes.imshow(cell_colours(_shares(matrix), faintest=FAINTEST), interpolation="nearest")
    corner = (block.start - 0.5, block.start - 0.5)
    axes.add_patch(matplotlib.patches.Rectangle(corner, BLOCK, BLOCK, fill=False, edgecolor="black", linewidth=1.5))
    _label(axes, title)


def _draw_named(
    axes: Axes, counts: np.ndarray, shares: np.ndarray, *, below: Sequence[str], beside: Sequence[str], size: int
) -> None:
    """A matrix with names and the number of every cell; `shares` say its colours."""
    axes.imshow(cell_colours(shares, faintest=0.1), interpolation="nearest")
    axes.set_xticks(range(len(below)), below, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(range(len(beside)), beside, fontsize=size, parse_math=False)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=size, color=colour)


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, parse_math=False)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")


def _save(figure: Figure, path: Path) -> None:
    """Write the picture with a font for Chinese names where one is installed; else they are boxes, without a word."""
    wide = [name for name in WIDE_FONTS if name in set(font_manager.get_font_names())]
    with matplotlib.rc_context({"font.family": ["DejaVu Sans", *wide]}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=100, bbox_inches="tight")


def draw_matrix(path: Path, matrix: np.ndarray, names: Sequence[str], *, title: str) -> None:
    """Write the picture; `title` says protocol and accuracy. Cells are coloured by their part of their row."""
    count = len(names)
    if count <= FEW_CLASSES:
        labels = [short_name(name) for name in names]
        side = 4 + 0.42 * count
        figure = Figure(figsize=(side, side), layout="constrained")
        axes = figure.subplots()
        _draw_named(axes, matrix, _shares(matrix), below=labels, beside=labels, size=9)
        _label(axes, textwrap.fill(title, 40) if count < 10 else title)
        _save(figure, path)
        return
    order = similar_next_to_each_other(matrix)
    ordered, shares = matrix[np.ix_(order, order)], _shares(matrix)[np.ix_(order, order)]
    block = worst_block(ordered)
    figure = Figure(figsize=(31, 15), layout="constrained")
    whole, part = figure.subplots(1, 2)
    _draw_whole(whole, ordered, block, title=f"{title}\n{count} classes, confused ones side by side")
    places = range(block.start, block.stop)
    beside = [f"{short_name(names[order[place]])} | {place}" for place in places]
    below = [str(place) for place in places]
    _draw_named(part, ordered[block, block], shares[block, block], below=below, beside=beside, size=11)
    _label(part, f"the {BLOCK} neighbours with the most confusions (framed on the left), counts of videos")
    _save(figure, path)
