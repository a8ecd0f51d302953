"""Evaluation videos: needed frames once, every view as cutting it directly would give it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.evaluation_dataset import EvaluationDataset, EvaluationVideo
from datasets.frame_sources import FolderSource
from datasets.list_file import VideoList, VideoRecord
from datasets.protocols import PROTOCOLS, Protocol, protocol_for
from tests.frame_folders import frame_numbers, make_frame_folders
from utils.errors import UserError
from utils.transforms import resize_short_side

SAMPLING = {"slowfast-10x3": "clip", "ssv2-1x3": "clip", "image-10crop": "image"}


def protocol_of(name: str) -> Protocol:
    return protocol_for(name, sampling=SAMPLING.get(name, "segments"), num_frames=8, stride=2, size=28, resize=32)


def dataset_of(root: Path, protocol: Protocol, num_frames: int, frames_per_segment: int = 1) -> EvaluationDataset:
    videos = VideoList(records=[VideoRecord("v", num_frames, 2, 7)], list_file=Path("lists/val.txt"))
    protocol = dataclasses.replace(protocol, frames_per_segment=frames_per_segment)
    return EvaluationDataset(videos=videos, source=FolderSource(root=root), protocols=[protocol])


def views(video: EvaluationVideo) -> list[torch.Tensor]:
    clips = [video.frames[torch.from_numpy(indices)] for indices in video.clip_indices]
    cut = [
        (c[:, b.top : b.top + b.height, b.left : b.left + b.width], flipped)
        for c in clips
        for b, flipped in video.boxes
    ]
    return [view.flip(2) if flipped else view for view, flipped in cut]


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("size", [(48, 64), (64, 48)])
def test_views_equal_cutting_each_from_its_own_frames(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    make_frame_folders(tmp_path, ["v"], frames=20, size=size)
    protocol = protocol_of(name)
    video = dataset_of(tmp_path, protocol, 20)[0]
    assert (video.label, video.video_index) == (2, 0)
    wanted = protocol.clip_indices(20)
    assert len(video.frames) == len(set(wanted.ravel().tolist()))
    source, seen = FolderSource(root=tmp_path), iter(views(video))
    for clip in wanted:
        frames = resize_short_side(torch.stack(source.read("v", clip)), protocol.resize)
        for box, flipped in protocol.boxes(frames.shape[1], frames.shape[2]):
            view = frames[:, box.top : box.top + box.height, box.left : box.left + box.width]
            assert torch.equal(next(seen), view.flip(2) if flipped else view)
            assert view.shape[1:3] == (protocol.size, protocol.size)
    assert next(seen, None) is None


def test_frames_are_cut_to_what_the_crops_cover(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["v"], frames=20, size=(48, 96))
    centre = dataset_of(tmp_path, protocol_of("center"), 20)[0]
    assert centre.frames.shape == (8, 28, 28, 3)
    assert centre.frames.is_contiguous()
    assert centre.boxes == [((0, 0, 28, 28), False)]
    assert frame_numbers(centre.frames) == [1, 3, 6, 8, 11, 13, 16, 18]
    three = dataset_of(tmp_path, protocol_of("tsm-dense-10x3"), 20)[0]
    assert three.frames.shape[1:] == (32, 64, 3)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("num_frames", [1, 2, 8])
def test_short_videos_are_scored_too(tmp_path: Path, name: str, num_frames: int) -> None:
    make_frame_folders(tmp_path, ["v"], frames=num_frames)
    protocol = protocol_of(name)
    video = dataset_of(tmp_path, protocol, num_frames)[0]
    assert len(views(video)) == protocol.clips * protocol.crops
    assert len(video.frames) <= num_frames


def test_several_frames_per_segment(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["v"], frames=20)
    video = dataset_of(tmp_path, protocol_of("center"), 20, frames_per_segment=6)[0]
    assert video.clip_indices.shape == (1, 48)
    assert len(views(video)[0]) == 48


def test_a_broken_video_ends_the_evaluation(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["v"], frames=20)
    (tmp_path / "v/img_00012.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"^lists/val\.txt:7: v: .*img_00012\.jpg: the file is empty; evaluation"):
        dataset_of(tmp_path, protocol_of("center"), 20)[0]


class CountingSource(FolderSource):
    """Notes which frames are read."""

    def read(self, video: str, indices: np.ndarray) -> list[torch.Tensor]:
        self.indices = indices.tolist()
        return super().read(video, indices)


def test_several_protocols_share_each_frame_and_see_what_each_would_alone(tmp_path: Path) -> None:
    make_frame_folders(tmp_path, ["v"], frames=20, size=(48, 64))
    names = ("center", "tsm-dense-10x3", "tsm-twice-3crop", "tsn-25x10")
    protocols = [protocol_of(name) for name in names] + [dataclasses.replace(protocol_of("center"), resize=40)]
    source = CountingSource(root=tmp_path)
    videos = VideoList(records=[VideoRecord("v", 20, 2, 7)], list_file=Path("lists/val.txt"))
    together = EvaluationDataset(videos=videos, source=source, protocols=protocols)[0]
    assert source.indices == list(range(20))
    for protocol, video in zip(protocols, (together, *together.further), strict=True):
        alone = dataset_of(tmp_path, protocol, 20)[0]
        assert video.boxes == alone.boxes
        assert (video.label, video.video_index) == (2, 0)
        for one, other in zip(views(video), views(alone), strict=True):
            assert torch.equal(one, other)
