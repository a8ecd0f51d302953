"""The picture of the confusion matrix: order, block, colours, and its size at 1 to 400 classes."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anal_tools.matrix_picture import (
    BLOCK,
    cell_colours,
    draw_matrix,
    short_name,
    similar_next_to_each_other,
    worst_block,
)


def matrix_of(classes: int) -> np.ndarray:
    """20 to 60 videos per class, 70 % right, most errors at one other class."""
    rng = np.random.default_rng(classes)
    matrix = np.zeros((classes, classes), dtype=np.int64)
    for label in range(classes):
        parts = np.full(classes, 0.15 / classes)
        parts[label] += 0.7
        parts[(7 * label + 3) % classes] += 0.15
        matrix[label] = rng.multinomial(rng.integers(20, 60), parts / parts.sum())
    return matrix


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_confused_classes_become_neighbours() -> None:
    # 0 and 3 are taken for each other, so are 1 and 4; 2 is always right
    matrix = np.diag([6, 8, 9, 5, 7])
    matrix[0, 3] = matrix[3, 0] = 4
    matrix[1, 4] = matrix[4, 1] = 2
    order = similar_next_to_each_other(matrix).tolist()
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert abs(order.index(0) - order.index(3)) == abs(order.index(1) - order.index(4)) == 1


@pytest.mark.parametrize("classes", [1, 2, 41, 400])
def test_an_order_has_every_class_once(classes: int) -> None:
    assert sorted(similar_next_to_each_other(matrix_of(classes))) == list(range(classes))


def test_the_worst_block_has_the_most_confusions() -> None:
    matrix = 50 * np.eye(60, dtype=np.int64)
    matrix[10, 12] = 5
    matrix[31, 45] = matrix[45, 31] = 3
    # classes 31 and 45 share a block that starts at 26 to 31; the first one is taken
    assert worst_block(matrix) == slice(26, 26 + BLOCK)


def test_colours_say_right_and_wrong_and_how_much() -> None:
    shares = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.02, 0.0, 0.0]])
    red, _, blue = np.moveaxis(cell_colours(shares, faintest=0.35)[..., :3], -1, 0)
    assert blue[0, 0] > red[0, 0] + 0.3  # right: blue
    assert red[0, 1] > blue[0, 1] + 0.3  # wrong: orange
    assert red[2, 0] > blue[2, 0] + 0.2  # one video of fifty is seen too
    assert red[0, 2] == blue[0, 2] == red[2, 2] == 1  # none: white
    assert red[1, 1] < red[0, 0]  # all is darker than half


def test_a_name_takes_two_lines_at_most() -> None:
    assert short_name("playing basketball") == "playing basketball"
    long = "Pretending to put something on a surface but actually putting it somewhere else entirely"
    assert short_name(long) == "Pretending to put something on a\nsurface but actually putting it ..."
    assert max(len(line) for line in short_name("x" * 200).splitlines()) <= 36


@pytest.mark.parametrize(("classes", "smallest"), [(1, 200), (10, 700), (40, 1900)])
def test_few_classes_have_a_cell_of_forty_pixels_each(tmp_path: Path, classes: int, smallest: int) -> None:
    names = [f"washing mountain-bike with other people {i}" for i in range(classes)]
    draw_matrix(tmp_path / "m.png", matrix_of(classes), names, title="center: top-1 72.31 % of 400 videos")
    picture = pixels(tmp_path / "m.png")
    assert min(picture.shape[:2]) >= smallest
    blue = (picture[..., 2] - picture[..., 0]) > 60
    assert blue.any(axis=0).sum() >= 40 * classes  # the diagonal crosses every column of cells


def test_four_hundred_classes_show_as_a_whole_and_enlarged(tmp_path: Path) -> None:
    names = [f"throwing discus (not on a snowboard) {i}" for i in range(400)]
    draw_matrix(tmp_path / "m.png", matrix_of(400), names, title="center: top-1 72.31 % of 19796 videos")
    picture = pixels(tmp_path / "m.png")
    height, width = picture.shape[:2]
    assert width > 2800
    assert height > 1300
    left = picture[:, : width // 2]
    blue = (left[..., 2] - left[..., 0]) > 60
    assert blue.any(axis=0).sum() > 3 * 400  # three pixels of each class
    orange = (left[..., 0] - left[..., 2]) > 60
    assert orange.sum() > 5000  # single confusions are seen


def test_names_that_are_no_mathematics_and_in_other_alphabets_are_drawn(tmp_path: Path) -> None:
    names = ["pay $5", r"$\frac$", "跑步", "a_b^c", "", "x" * 300]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        draw_matrix(tmp_path / "m.png", matrix_of(6), names, title=r"$\x$ 100 %")
    assert pixels(tmp_path / "m.png").shape[0] > 400
