"""From config to batches: the same bits with any number of workers, ranks and restarts."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import get_worker_info

from datasets.evaluation_loader import build_evaluation_loader
from datasets.frame_group_dataset import FrameGroupDataset
from datasets.loaders import Batch, ClipFormat, build_crop, build_train_loader
from datasets.protocols import protocol_for
from datasets.videos import read_videos
from tests.datasets.folder_config import NUM_VIDEOS, folder_config
from tests.frame_folders import frame_numbers, video_number
from utils.config_schema import Config
from utils.errors import UserError
from utils.random_streams import stream

SEGMENTS = ClipFormat("segments", 1, "multi_scale")


def batches_of(
    config: Config, *, clip: ClipFormat = SEGMENTS, rank: int = 0, world_size: int = 1, start: int = 0
) -> list[Batch]:
    videos = read_videos(config, "train", sampling=clip.sampling)
    return list(build_train_loader(config, videos, clip, rank=rank, world_size=world_size, start_iteration=start))


def assert_same(first: list[Batch], second: list[Batch]) -> None:
    assert len(first) == len(second)
    for a, b in zip(first, second):
        assert a.broken == b.broken
        for name in ("frames", "label", "video_index", "position"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name


@pytest.mark.parametrize("sampling", ["segments", "clip"])
def test_batches_are_the_same_bits_with_any_number_of_workers(tmp_path: Path, sampling: str) -> None:
    clip = ClipFormat(sampling, 1, "random_resized")
    options: dict[str, Any] = {"model": {"num_frames": 4, "stride": 2}}
    alone, one, three = (batches_of(folder_config(tmp_path, workers=n, **options), clip=clip) for n in (0, 1, 3))
    assert len(alone) == 8
    assert_same(alone, one)
    assert_same(alone, three)
    assert alone[0].frames.shape == (3, 4, 16, 16, 3)
    assert alone[0].frames.dtype == torch.uint8
    assert torch.cat([batch.position for batch in alone]).tolist() == list(range(24))
    for batch in alone:
        assert [video_number(frames) for frames in batch.frames] == batch.video_index.tolist()
        assert batch.label.tolist() == (batch.video_index % 3).tolist()


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_resumed_loader_gives_the_rest(tmp_path: Path, workers: int, accumulate: int) -> None:
    config = folder_config(tmp_path, workers=workers, accumulate=accumulate)
    whole = batches_of(config)
    assert len(whole) == 8 * accumulate
    assert_same(batches_of(config, start=5), whole[5 * accumulate :])
    assert batches_of(config, start=8) == []


def test_two_ranks_share_the_batch_of_one(tmp_path: Path) -> None:
    one = batches_of(folder_config(tmp_path, batch_size=4))
    ranks = [batches_of(folder_config(tmp_path, batch_size=2), rank=rank, world_size=2) for rank in range(2)]
    for whole, first, second in zip(one, *ranks):
        assert torch.equal(whole.frames, torch.cat([first.frames, second.frames]))


@pytest.mark.parametrize("kept", [1, 100])
def test_batches_stay_as_they_are_while_somebody_looks_at_them(tmp_path: Path, kept: int) -> None:
    """Views too; when they are gone, their memory is written to again."""
    config = folder_config(tmp_path, workers=2, lr_scheduler={"max_iter": 30})
    videos = read_videos(config, "train", sampling="segments")
    loader = build_train_loader(config, videos, SEGMENTS, rank=0, world_size=1, start_iteration=0)
    views, addresses = [], set()
    for batch in loader:
        addresses.add(batch.frames.data_ptr())
        views = [*views, batch.frames[1:, 0]][-kept:]
        del batch
    expected = batches_of(folder_config(tmp_path, workers=0, lr_scheduler={"max_iter": 30}))
    assert all(torch.equal(view, batch.frames[1:, 0]) for view, batch in zip(views, expected[-kept:]))
    assert len(addresses) <= 7 if kept == 1 else len(addresses) == 30


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_videos_are_named_in_their_batch(tmp_path: Path, workers: int) -> None:
    config = folder_config(tmp_path, workers=workers)
    for file in (tmp_path / "frames/v 4").iterdir():
        file.write_bytes(b"")
    batches = batches_of(config)
    named = [line for batch in batches for line in batch.broken]
    assert named
    assert all(line.startswith(f"{tmp_path}/list.txt:5: v 4: ") for line in named)
    assert not (torch.cat([batch.video_index for batch in batches]) == 4).any()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_user_error_of_a_worker_arrives_as_it_is(tmp_path: Path, workers: int) -> None:
    config = folder_config(tmp_path, workers=workers, bad_data={"train": "stop"})
    for number in range(1, NUM_VIDEOS):
        (tmp_path / f"frames/v {number}/img_00001.jpg").unlink()
        (tmp_path / f"frames/v {number}").rename(tmp_path / f"{number}")
    with pytest.raises(UserError) as error:
        batches_of(config)
    assert len(error.value.lines) == 1
    assert error.value.lines[0].startswith(f"{tmp_path}/list.txt:")
    assert "Traceback" not in str(error.value)
    videos = read_videos(config, "val", sampling="segments")
    protocol = protocol_for("center", sampling="segments", num_frames=4, size=16, resize=24)
    loader = build_evaluation_loader(config, videos, [protocol], rank=0, world_size=1)
    with pytest.raises(UserError, match=r"^[^\n]*list\.txt:2: v 1: [^\n]*evaluation substitutes nothing[^\n]*$"):
        list(loader.videos)


def test_a_program_error_of_a_worker_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = folder_config(tmp_path, workers=1)
    monkeypatch.setattr("datasets.train_dataset.resize", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        batches_of(config)


@pytest.mark.parametrize("name", ["center", "tsn-25x10"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("world_size", [1, 3])
def test_evaluation_gives_every_video_once(tmp_path: Path, name: str, workers: int, world_size: int) -> None:
    config = folder_config(tmp_path, workers=workers, val_batch_size=2)
    videos = read_videos(config, "val", sampling="segments")
    protocol = protocol_for(name, sampling="segments", num_frames=4, size=16, resize=24)
    seen = []
    for rank in range(world_size):
        loader = build_evaluation_loader(config, videos, [protocol], rank=rank, world_size=world_size)
        assert loader.block == (2 if name == "center" else 1)
        shard = list(loader.videos)
        assert len(shard) == len(loader.videos)
        for video in shard:
            assert video_number(video.frames) == video.video_index
            assert video.label == video.video_index % 3
        seen += [video.video_index for video in shard]
    assert sorted(seen) == list(range(NUM_VIDEOS))


def test_more_ranks_than_videos_leave_some_with_none(tmp_path: Path) -> None:
    config = folder_config(tmp_path, workers=2)
    videos = read_videos(config, "val", sampling="segments")
    protocol = protocol_for("center", sampling="segments", num_frames=4, size=16, resize=24)
    loader = build_evaluation_loader(config, videos, [protocol], rank=11, world_size=12)
    assert list(loader.videos) == []


def test_a_video_of_every_list_is_an_image_too(tmp_path: Path) -> None:
    config = folder_config(tmp_path)
    (tmp_path / "list.txt").write_text("".join(f"v {n}/img_00003.jpg 0\n" for n in range(NUM_VIDEOS)))
    batch = batches_of(config, clip=ClipFormat("image", 1, "random_resized"))[0]
    assert batch.frames.shape == (3, 1, 16, 16, 3)
    assert all(frame_numbers(frames) == [2] for frames in batch.frames)


@pytest.mark.parametrize(
    ("usual", "chosen", "sides"),
    [
        ("multi_scale", None, {48, 42, 36, 31}),
        ("scale_jitter", None, set(range(24, 33))),
        ("multi_scale", "scale_jitter", set(range(24, 33))),
    ],
)
def test_the_crop_is_the_config_s_or_else_the_method_s(
    tmp_path: Path, usual: str, chosen: str | None, sides: set[int]
) -> None:
    augmentation = {"input_size": 16, "crop": chosen, "jitter_sizes": [24, 32], "scales": [1.0, 0.875, 0.75, 0.66]}
    crop = build_crop(folder_config(tmp_path, augmentation=augmentation).augmentation, usual)
    boxes = [crop(48, 64, stream(0, "test", number)) for number in range(50)]
    assert {box.height for box in boxes} <= sides
    assert len({box.height for box in boxes}) > 2
    assert all(0 <= box.top <= 48 - box.height and 0 <= box.left <= 64 - box.width for box in boxes)


def test_workers_leave_ctrl_c_to_their_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Any, num_frames: int, rng: Any, original: Callable[..., Any]) -> Any:
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGINT)
            assert torch.get_num_threads() == 1
        return original(self, num_frames, rng)

    original = FrameGroupDataset.choose
    monkeypatch.setattr(FrameGroupDataset, "choose", lambda self, n, rng: interrupted(self, n, rng, original))
    assert len(batches_of(folder_config(tmp_path, workers=2))) == 8
