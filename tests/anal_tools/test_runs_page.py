"""The page of several runs in a real headless Chromium: curves drawn, hidden, pointed at; hostile names; gaps."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from anal_tools.runs_page import Scalar, curves_by_name, thinned, write_runs_page
from tests.anal_tools.browser import action_chains, data_of_a_page_alone, open_browser, texts

HOSTILE = "tsm</script><b>\"'&"
LOSSES = {"tsn": [2.0, 1.5, 1.0], HOSTILE: [2.5, math.nan, 0.5]}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of three points of loss, one of which diverged for a while; only the first was evaluated."""
    path = tmp_path_factory.mktemp("runs") / "runs.html"
    scalars = [
        Scalar(run, "train/loss", 10 * (n + 1), value)
        for run, values in LOSSES.items()
        for n, value in enumerate(values)
    ]
    write_runs_page(
        path,
        list(LOSSES),
        header=["run", "top-1 % (95 %)"],
        rows=[["tsn", "50.00 (40.00 - 60.00)"], [HOSTILE, "nothing evaluated yet"]],
        differences=[["model.type", "tsn", HOSTILE]],
        scalars=[*scalars, Scalar("tsn", "val_center/top1", 30, 50.0)],
    )
    return path


@pytest.fixture(scope="module", params=["light", "dark"])
def browser(request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from open_browser(dark=request.param == "dark")


@pytest.fixture
def opened(browser: Any, page: Path) -> Iterator[Any]:
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.dataset.ready") == "true"
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_the_page_needs_nothing_but_itself(page: Path) -> None:
    data = data_of_a_page_alone(page)
    assert data["runs"] == ["tsn", HOSTILE]
    assert data["curves"]["train/loss"][HOSTILE] == [[10, 2.5], [20, None], [30, 0.5]]


def test_results_differences_and_curves_are_drawn(opened: Any) -> None:
    assert texts(opened, "#results tbody td") == ["tsn", "50.00 (40.00 - 60.00)", HOSTILE, "nothing evaluated yet"]
    assert texts(opened, "#config td") == ["model.type", "tsn", HOSTILE]
    assert texts(opened, "figcaption") == ["train/loss", "val_center/top1"]
    paths = [each.get_attribute("d") for each in opened.find_elements("css selector", "[data-curve='train/loss'] path")]
    assert [path.count("M") for path in paths] == [1, 2]  # the second has a gap where it was not finite
    assert len(opened.find_elements("css selector", "[data-curve='train/loss'] circle")) == 5
    colours = opened.execute_script(
        "return [...document.querySelectorAll('#legend i')].map(each => getComputedStyle(each).backgroundColor)"
    )
    assert len(set(colours)) == 2


def test_a_run_is_hidden_and_shown_again(opened: Any) -> None:
    second = opened.find_elements("css selector", "#legend button")[1]
    assert second.text == HOSTILE
    second.click()
    assert second.get_attribute("aria-pressed") == "false"
    assert len(opened.find_elements("css selector", "[data-curve='train/loss'] path")) == 1
    opened.find_elements("css selector", "#legend button")[0].click()
    assert texts(opened, "figure .quiet") == ["no values shown", "no values shown"]
    second.send_keys(" ")
    assert len(opened.find_elements("css selector", "[data-curve='train/loss'] path")) == 1


def test_pointing_at_a_picture_says_its_values(opened: Any) -> None:
    picture = opened.find_element("css selector", "[data-curve='train/loss'] svg")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    action_chains(opened).move_to_element(picture).move_by_offset(round(picture.size["width"] * 0.18), 0).perform()
    assert texts(opened, "[data-curve='train/loss'] .quiet") == [f"tsn 1.5 at 20; {HOSTILE} not finite at 20"]


def test_long_curves_are_averaged_over_neighbours_by_hand() -> None:
    points = [(n, float(n)) for n in range(1, 11)]
    assert thinned(points, 10) == points
    assert thinned(points, 4) == [(3, 2.0), (6, 5.0), (9, 8.0), (10, 10.0)]
    assert math.isnan(thinned([(1, math.nan), (2, 1.0)], 1)[0][1])
    assert curves_by_name([Scalar("a", "x", 1, math.inf), Scalar("a", "x", 2, 0.1)]) == {
        "x": {"a": [[1, None], [2, 0.1]]}
    }
