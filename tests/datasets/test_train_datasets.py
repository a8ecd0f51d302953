"""The three training data sets: right frames, one draw per clip, and what happens at a broken video."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datasets.clip_dataset import ClipDataset
from datasets.frame_group_dataset import FrameGroupDataset
from datasets.frame_sources import FolderSource, ImageFileSource, VideoSource
from datasets.image_dataset import ImageDataset
from datasets.list_file import VideoList, VideoRecord
from datasets.samplers import SampleKey
from datasets.train_dataset import REPLACEMENTS, TrainDataset
from tests.datasets.test_video_source import write_video
from tests.frame_folders import frame_numbers, is_mirrored, make_flow_folder, make_frame_folders, video_number
from utils.errors import UserError
from utils.random_streams import stream
from utils.transforms import CropBox

FRAMES = 20


def whole_frame(height: int, width: int, rng: np.random.Generator) -> CropBox:
    return CropBox(0, 0, height, width)


def videos_of(names: list[str], num_frames: int = FRAMES, labels: tuple[int, ...] = (0, 1, 2)) -> VideoList:
    records = [VideoRecord(name, num_frames, labels[i % len(labels)], i + 1) for i, name in enumerate(names)]
    return VideoList(records=records, list_file=Path("lists/train.txt"))


def options(root: Path, names: list[str], **changes: Any) -> dict[str, Any]:
    values = {"videos": videos_of(names), "source": FolderSource(root=root), "crop": whole_frame, "size": 32, "seed": 5}
    return {**values, "flip": 0.0, **changes}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_frame_folders(tmp_path, ["a", "b", "c"], frames=FRAMES)
    return tmp_path


def test_a_group_has_a_frame_of_each_part(root: Path) -> None:
    dataset = FrameGroupDataset(num_segments=4, **options(root, ["a", "b", "c"]))
    seen = set()
    for position in range(100):
        sample = dataset[SampleKey(position, position % 3)]
        assert sample.frames.shape == (4, 32, 32, 3)
        assert sample.frames.dtype == torch.uint8
        assert (sample.label, sample.video_index, sample.position) == (position % 3, position % 3, position)
        assert video_number(sample.frames) == position % 3
        frames = frame_numbers(sample.frames)
        assert [frame // 5 for frame in frames] == [0, 1, 2, 3]
        seen.update(frames)
    assert seen == set(range(FRAMES))


def test_segments_of_several_frames_are_consecutive(root: Path) -> None:
    dataset = FrameGroupDataset(num_segments=2, frames_per_segment=6, **options(root, ["a"]))
    first, second = np.split(np.array(frame_numbers(dataset[SampleKey(0, 0)].frames)), 2)
    assert np.diff(first).tolist() == np.diff(second).tolist() == [1] * 5
    assert first[0] < 7 <= second[0]


def test_a_clip_has_frames_at_its_stride(root: Path) -> None:
    dataset = ClipDataset(clip_frames=4, stride=3, **options(root, ["a"]))
    starts = set()
    for position in range(40):
        frames = frame_numbers(dataset[SampleKey(position, 0)].frames)
        assert all(3 <= step <= 4 for step in np.diff(frames))  # PySlowFast spreads 4 frames over a window of 12
        starts.add(frames[0])
    assert len(starts) > 5


def test_an_image_is_one_frame(root: Path) -> None:
    dataset = ImageDataset(**options(root, ["a"], source=FolderSource(root=root)))
    assert dataset[SampleKey(0, 0)].frames.shape == (1, 32, 32, 3)
    files = ImageDataset(**options(root, ["b/img_00008.jpg"], source=ImageFileSource(root=root)))
    assert frame_numbers(files[SampleKey(0, 0)].frames) == [7]


@pytest.mark.parametrize("num_frames", [1, 2, 3, 7, 20])
def test_short_videos_fill_their_clips(root: Path, num_frames: int) -> None:
    values = options(root, ["a"], videos=videos_of(["a"], num_frames))
    for dataset in (
        FrameGroupDataset(num_segments=8, **values),
        FrameGroupDataset(num_segments=3, frames_per_segment=5, **values),
        ClipDataset(clip_frames=8, stride=4, **values),
    ):
        frames = frame_numbers(dataset[SampleKey(0, 0)].frames)
        assert max(frames) < num_frames
        assert frames[0] == min(frames)


def test_a_sample_is_a_function_of_seed_and_position(root: Path) -> None:
    def crop(height: int, width: int, rng: np.random.Generator) -> CropBox:
        return CropBox(int(rng.integers(16)), int(rng.integers(32)), 32, 32)

    def samples(seed: int) -> list[torch.Tensor]:
        values = options(root, ["a", "b"], crop=crop, flip=0.5, seed=seed)
        dataset = FrameGroupDataset(num_segments=3, **values)
        return [dataset[SampleKey(position, 0)].frames for position in (7, 3, 7, 8)]

    first, again, other = samples(1), samples(1), samples(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_the_crop_is_cut_from_the_stored_frame(root: Path) -> None:
    boxes = []

    def crop(height: int, width: int, rng: np.random.Generator) -> CropBox:
        boxes.append((height, width, rng.random() == stream(5, "crop", 3).random()))
        return CropBox(8, 4, 16, 20)  # inside the dark left half

    sample = FrameGroupDataset(num_segments=3, **options(root, ["a"], crop=crop))[SampleKey(3, 0)]
    assert boxes == [(48, 64, True)]  # drawn once for the clip
    assert sample.frames.shape == (3, 32, 32, 3)
    assert sample.frames[..., 2].max() < 50


@pytest.mark.parametrize("flip", [0.0, 0.3, 1.0])
def test_a_mirrored_clip_takes_the_mapped_label(root: Path, flip: float) -> None:
    values = options(root, ["a", "b", "c"], flip=flip, flip_label_map={1: 2, 2: 1})
    dataset = FrameGroupDataset(num_segments=2, **values)
    mirrored = 0
    for position in range(60):
        sample = dataset[SampleKey(position, position % 3)]
        expected = stream(5, "flip", position).random() < flip
        assert is_mirrored(sample.frames) == expected
        assert sample.label == ([0, 2, 1] if expected else [0, 1, 2])[position % 3]
        mirrored += expected
    assert mirrored == {0.0: 0, 1.0: 60}.get(flip, mirrored)
    assert abs(mirrored / 60 - flip) < 0.2


def test_mirrored_flow_turns_its_x_round(tmp_path: Path) -> None:
    make_flow_folder(tmp_path / "v", frames=8)
    source = FolderSource(root=tmp_path, modality="Flow")
    values = options(tmp_path, ["v"], videos=videos_of(["v"], 8), source=source)
    clips = [
        FrameGroupDataset(num_segments=1, frames_per_segment=5, **{**values, "flip": flip})[SampleKey(0, 0)].frames
        for flip in (0.0, 1.0)
    ]
    assert clips[0].shape == (5, 32, 32, 2)
    assert torch.equal(clips[1][..., 0], 255 - clips[0][..., 0])
    assert torch.equal(clips[1][..., 1], clips[0][..., 1])


def test_videos_without_num_frames_are_counted(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 24)
    dataset = FrameGroupDataset(
        num_segments=8,
        **options(tmp_path, ["v.mp4"], videos=videos_of(["v.mp4"], 0), source=VideoSource(root=tmp_path)),
    )
    frames = dataset[SampleKey(0, 0)].frames
    assert [round(float(frame.float().mean()) / 8) // 3 for frame in frames] == list(range(8))


def broken_dataset(root: Path, bad_data: str, broken: tuple[str, ...] = ("a",)) -> TrainDataset:
    for name in broken:
        for file in (root / name).iterdir():
            file.write_bytes(file.read_bytes()[:300])
    source = FolderSource(root=root)
    source.num_frames("a")  # which settles how frames are called
    return FrameGroupDataset(num_segments=3, **options(root, ["a", "b", "c"], bad_data=bad_data, source=source))


def test_skip_draws_another_video_and_names_the_broken_one(root: Path) -> None:
    dataset = broken_dataset(root, "skip")
    replaced = []
    for position in range(20):
        sample = dataset[SampleKey(position, 0)]
        assert sample.video_index == sample.label == video_number(sample.frames) != 0
        assert sample.broken[0].startswith("lists/train.txt:1: a: ")
        assert "/a/img_000" in sample.broken[0]
        replaced.append(sample.video_index)
        again = dataset[SampleKey(position, 0)]
        assert torch.equal(sample.frames, again.frames)
        assert sample.broken == again.broken
    assert set(replaced) == {1, 2}
    assert dataset[SampleKey(0, 1)].broken == ()


def test_skip_gives_up_where_nothing_can_be_read(root: Path) -> None:
    with pytest.raises(UserError, match=f"{REPLACEMENTS} broken videos in a row, is the root right"):
        broken_dataset(root, "skip", ("a", "b", "c"))[SampleKey(0, 0)]


def test_stop_ends_with_the_line_of_the_list(root: Path) -> None:
    with pytest.raises(UserError, match=r"^lists/train\.txt:1: a: .*; mend or leave out the video"):
        broken_dataset(root, "stop")[SampleKey(0, 0)]


def test_a_list_that_promises_too_many_frames_is_broken(root: Path) -> None:
    values = options(root, ["a"], videos=videos_of(["a"], FRAMES + 1), bad_data="stop")
    dataset = ClipDataset(clip_frames=FRAMES + 1, stride=1, **values)
    with pytest.raises(UserError, match=r"img_00021\.jpg: No such file"):
        dataset[SampleKey(0, 0)]
