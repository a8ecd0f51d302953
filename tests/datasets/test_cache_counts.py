"""What memcached did for a run stands in its log, workers included."""

import logging
from pathlib import Path

import pytest

from datasets import cache_counts
from datasets.cache_counts import counts_line, with_counts
from datasets.frame_sources import Memcached
from datasets.frame_sources.outages import OncePerMinute
from datasets.loaders import ClipFormat, build_train_loader
from datasets.videos import read_videos
from tests.datasets.folder_config import folder_config
from tests.memcached_servers import free_port, needs_memcached, running


@pytest.fixture(autouse=True)
def log_lines_reach_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_counts.LOGGER, "propagate", True)
    monkeypatch.setattr(cache_counts.LOGGER, "level", logging.INFO)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.message.startswith("memcached for")]


def test_a_line_has_every_count() -> None:
    counts = {"hits": 1200, "misses": 40, "wrong": 2, "faults": 1, "refused": 3}
    assert counts_line(counts) == (
        "1200 hits, 40 misses (97 % hits), 2 values with wrong bytes, 1 errors of servers, 3 times too large"
    )
    assert counts_line(dict.fromkeys(counts, 0)).startswith("0 hits, 0 misses, 0 values")


@needs_memcached
@pytest.mark.parametrize("workers", [0, 2])
def test_the_last_batch_brings_the_sum_over_all_workers(
    tmp_path: Path, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    with running() as servers:
        config = folder_config(tmp_path, workers=workers, source={"memcached": [servers[0].name]})
        videos = read_videos(config, "train", sampling="segments")
        clip = ClipFormat("segments", 1, "multi_scale")
        loader = build_train_loader(config, videos, clip, rank=0, world_size=1, start_iteration=0)
        for _ in range(config.lr_scheduler.max_iter):
            next(loader)  # as the train loop does: never beyond the last
    (line,) = told(caplog)
    assert videos.source.cache is not None
    counts = videos.source.cache.counts()
    assert line == f"memcached for list.txt, so far: {counts_line(counts)}"
    assert counts["hits"] + counts["misses"] == 8 * 4 * 3  # frames of all clips
    assert counts["hits"] > 0


def test_a_line_comes_every_ten_minutes_and_none_without_servers(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = Memcached(servers=[f"127.0.0.1:{free_port()}"])
    monkeypatch.setattr(cache_counts, "EVERY_SECONDS", 0.0)
    assert list(with_counts("abc", cache, name="x", last=9)) == ["a", "b", "c"]
    assert list(with_counts("abc", None, name="x", last=3)) == ["a", "b", "c"]
    assert len(told(caplog)) == 3


def test_a_warning_may_come_once_a_minute() -> None:
    warning = OncePerMinute()
    assert [warning.may(now) for now in (5.0, 5.0, 64.9, 65.0, 66.0, 1000.0)] == [True, False, False, True, False, True]
