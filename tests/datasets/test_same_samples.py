"""Bitwise the same batches from folders, a packed file and memcached, with any number of workers, and when resumed."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datasets.loaders import Batch, ClipFormat, build_train_loader
from datasets.packed_file import close_packed
from datasets.prepare.pack_frames import main as pack_frames
from datasets.videos import read_videos
from tests.datasets.folder_config import folder_config
from tests.memcached_servers import needs_memcached, running

ITERATIONS = 8


def batches(folder: Path, start: int = 0, **values: Any) -> list[Batch]:
    config = folder_config(folder, **values)
    videos = read_videos(config, "train", sampling="segments")
    clip = ClipFormat("segments", 1, "multi_scale")
    loader = build_train_loader(config, videos, clip, rank=0, world_size=1, start_iteration=start)
    return list(loader)


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(mine[field], its[field]) for mine, its in zip(ours, theirs) for field in range(4)
    )


def packed(folder: Path) -> dict[str, Any]:
    """What a config says to read the packed frames of `folder`."""
    out = folder / "packed.lmdb"
    if not out.exists():
        assert pack_frames([str(folder / "frames"), str(folder / "list.txt"), str(out)]) == 0
        close_packed(out)
    return {"train_root": str(out), "source": {"type": "lmdb"}}


@pytest.fixture
def expected(tmp_path: Path) -> list[Batch]:
    made = batches(tmp_path)
    assert len(made) == ITERATIONS
    assert not same(made, made[::-1])
    return made


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_a_packed_file_gives_the_batches_of_the_folders(tmp_path: Path, expected: list[Batch], workers: int) -> None:
    assert same(batches(tmp_path, workers=workers), expected)
    assert same(batches(tmp_path, workers=workers, **packed(tmp_path)), expected)
    assert same(batches(tmp_path, start=5, workers=workers, **packed(tmp_path)), expected[5:])


@needs_memcached
def test_memcached_gives_the_batches_of_the_folders(tmp_path: Path, expected: list[Batch]) -> None:
    with running(2) as servers:
        memcached = [server.name for server in servers]
        for workers in (0, 2, 2):  # filled first, then filled by one worker and read by another
            assert same(batches(tmp_path, workers=workers, source={"memcached": memcached}), expected)
        assert same(batches(tmp_path, start=3, workers=1, source={"memcached": memcached}), expected[3:])
        values = packed(tmp_path)
        values["source"] = {"type": "lmdb", "memcached": memcached}
        for workers in (0, 2):
            assert same(batches(tmp_path, workers=workers, **values), expected)
        servers[0].kill()
        servers[1].hang()
        assert same(batches(tmp_path, workers=2, source={"memcached": memcached}), expected)
        servers[1].go_on()
