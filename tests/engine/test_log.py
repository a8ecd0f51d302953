"""log.txt keeps whole lines; events keep each step once, read back by TensorBoard's own reader."""

from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from engine.log import LOGGER, Events, log_failure, open_log


def lines(file: Path) -> list[str]:
    """Without their times ("2026-11-24 15:26:11 ")."""
    return [line[20:] for line in file.read_text(encoding="utf-8").splitlines()]


def test_lines_are_appended_after_a_torn_one(tmp_path: Path) -> None:
    file = tmp_path / "log.txt"
    open_log(file, rank=0)
    LOGGER.info("one, 帧")
    with file.open("a", encoding="utf-8") as torn:
        torn.write("2026-11-24 15:26:11 tw")  # a kill in the middle of a line
    for text in ("three", "four"):
        open_log(file, rank=0)
        LOGGER.info(text)
    assert lines(file) == ["one, 帧", "tw", "three", "four"]


def test_what_is_said_before_the_file_is_known_is_written_once_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log.txt"
    open_log(None, rank=0)
    LOGGER.info("early")
    assert "early" in capsys.readouterr().out
    assert not file.exists()
    open_log(file, rank=0)
    LOGGER.info("late")
    assert lines(file) == ["early", "late"]
    assert "early" not in capsys.readouterr().out


def test_other_ranks_write_no_file_and_only_warn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    open_log(None, rank=1)
    LOGGER.info("quiet")
    open_log(tmp_path / "log.txt", rank=1)
    LOGGER.info("quiet")
    LOGGER.warning("loud")
    assert not (tmp_path / "log.txt").exists()
    assert [line[20:] for line in capsys.readouterr().out.splitlines()] == ["loud"]


def test_why_a_run_ended_goes_into_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "log.txt"
    log_failure(["nowhere to write yet"])
    open_log(file, rank=0)
    log_failure(["100 % broken", "second line"])
    assert lines(file) == ["error: 100 % broken", "error: second line"]
    assert capsys.readouterr().out == ""


def test_a_later_start_purges_the_steps_that_it_repeats(tmp_path: Path) -> None:
    for start_iteration, last in ((0, 7), (4, 6), (5, 9)):  # killed after 7, gone on from the checkpoint at 4 ...
        with Events(tmp_path, start_iteration=start_iteration) as events:
            for step in range(start_iteration + 1, last + 1):
                events.scalars({"train/loss": 100.0 * start_iteration + step}, step)
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    read = [(event.step, event.value) for event in reader.Scalars("train/loss")]
    assert read == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 405), (6, 506), (7, 507), (8, 508), (9, 509)]


@pytest.mark.parametrize("channels", [2, 3, 9])
def test_the_picture_has_a_row_per_clip(channels: int, tmp_path: Path) -> None:
    clips = torch.zeros(2, 5, channels, 4, 6)  # B T C H W
    clips[1, 4] = 1.0
    with Events(tmp_path) as events:
        events.clips("train/clips", clips, 1)
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    (image,) = reader.Images("train/clips")
    assert (image.height, image.width) == (2 * 4, 5 * 6)


def test_without_a_folder_nothing_happens() -> None:
    with Events(None) as events:
        events.scalars({"a": 1.0}, 1)
        events.clips("b", torch.zeros(1, 1, 3, 2, 2), 1)
