import re

import pytest

from engine.model_zoo import NOTABLE, PAGE, SETS, count_recipe, make_table, recipe_names
from engine.published_counts import PUBLISHED
from tests.shared_material import REPOSITORY


@pytest.mark.slow
def test_the_table_in_the_docs_is_what_the_command_makes() -> None:
    assert make_table() in PAGE.read_text(encoding="utf-8"), "run `python -m engine.model_zoo --write`"


@pytest.mark.parametrize(
    ("recipe", "row"),
    [
        ("kinetics400/x3d_s", "13 | 3,794,322 | 1.96 at 160, 2.72 at 182 | 3.8 M, 1.96 at 160 (PySlowFast)"),
        ("kinetics400/slow_4x16_r50", "4 | 32,454,096 | 20.87 at 224, 27.26 at 256 | 32.45 M, 27.55 at 256"),
        ("kinetics400/slowfast_4x16_r50", "32 | 34,480,216 | 27.64 at 224, 36.10 at 256 | 34.48 M, 36.10 at 256"),
        ("kinetics400/tsm_mobilenetv2", "8 | 2,736,272 | 2.40 at 224, 3.13 at 256 | 2.736 M, 3.27 at 256"),
    ],
)
def test_rows_that_are_known(recipe: str, row: str) -> None:
    (line,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {recipe} |"))
    assert row in line
    counted = count_recipe(recipe)
    assert f"{counted.parameters:,}" in line
    assert all(f"{gflops:.2f} at {side}" in line for side, gflops in counted.gflops.items())


def test_every_published_recipe_has_a_row() -> None:
    rows = re.findall(r"^\| (\w+/\w+) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert sorted(rows) == sorted(recipe_names())
    assert {row.split("/")[0] for row in rows} == set(SETS)


def test_every_published_number_belongs_to_a_recipe() -> None:
    assert set(PUBLISHED) <= set(recipe_names())


def test_a_difference_of_more_than_a_percent_is_explained() -> None:
    """Read off the page, whose rows the other tests compare with counts."""
    explained = PAGE.read_text(encoding="utf-8").rpartition("|\n")[2]
    unexplained, found = [], 0
    for row in PAGE.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\| (\S+) \|.*\| (-?[\d.]+) %, (-?[\d.]+) % \|$", row):
            found += 1
            notable = max(abs(float(match[2])), abs(float(match[3]))) > 100 * NOTABLE + 0.05
            unexplained += [match[1]] if notable and match[1] not in explained else []
    assert found >= len(PUBLISHED) - 1
    assert unexplained == []


def test_the_page_is_named_in_the_tree() -> None:
    assert PAGE == REPOSITORY / "docs" / "model_zoo.md"
