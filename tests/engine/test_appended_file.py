"""Pieces are there whole or not at all; limits on the size of files and /dev/full stand for a disk without room."""

import contextlib
import logging
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from engine.appended_file import AppendedFile
from engine.log import LOGGER, Events, open_log


@contextlib.contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes (SIGXFSZ is ignored by Python)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_does_not_fit_leaves_no_part_of_it_and_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    file = AppendedFile(path)
    with files_up_to(10):
        assert [file.append(piece) for piece in (b"12345678", b"abcd", b"ef", b"g")] == [True, False, True, False]
    assert path.read_bytes() == b"12345678ef"
    assert file.left_out == 2
    assert file.append(b"h")
    assert path.read_bytes() == b"12345678efh"
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"warning: {path}: can't be written (File too large); the run goes on, what does not fit is left out"


def test_a_full_device(capsys: pytest.CaptureFixture[str]) -> None:
    file = AppendedFile(Path("/dev/full"))
    assert not file.append(b"one")
    assert not file.append(b"two")
    assert capsys.readouterr().err.count("No space left on device") == 1
    file.close()
    file.close()


def test_log_txt_keeps_whole_lines_and_says_how_many_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    open_log(path, rank=0)
    LOGGER.info("first")
    with files_up_to(path.stat().st_size + 10):
        for number in range(3):
            LOGGER.info("lost %d", number)
    LOGGER.info("last")
    lines = path.read_text().splitlines()
    assert [line[20:] for line in (lines[0], lines[2])] == ["first", "last"]
    assert lines[1:2] == ["(3 lines could not be written)"]
    assert len(lines) == 3


def test_events_lack_what_did_not_fit_and_can_be_read(tmp_path: Path) -> None:
    with Events(tmp_path) as events:
        events.scalars({"loss": 1.0}, 1)
        (file,) = tmp_path.iterdir()
        with files_up_to(file.stat().st_size + 20):
            events.scalars({"loss": 2.0, "top1": 2.0}, 2)
        events.scalars({"loss": 3.0}, 3)
    reader = EventAccumulator(str(tmp_path))
    reader.Reload()
    assert [(event.step, event.value) for event in reader.Scalars("loss")] == [(1, 1.0), (3, 3.0)]


def test_a_console_that_is_full_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        open_log(path, rank=0)
        for number in range(3):
            LOGGER.info("line %d", number)
        assert isinstance(LOGGER.handlers[0], logging.StreamHandler)
        full.flush()
    assert len(path.read_text().splitlines()) == 3
