"""Frames at another rate: which ones are left out, which are shown twice."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from datasets.prepare.find_videos import find_videos
from datasets.prepare.frame_dump import DumpOptions, dump_video, is_dumped
from datasets.prepare.frame_folder import read_marker
from datasets.prepare.frame_rate import at_rate
from tests.datasets.prepare.moving_videos import FRAMES, make_videos
from tests.shared_material import SHARED, needs_shared


def shown(times: list[int | None], fps: float, *, duration: int = 40) -> list[int]:
    """Numbers of the frames that are shown, of frames at `times` in milliseconds."""
    frames = []
    for time in times:
        frame = av.VideoFrame(16, 16, "yuv420p")
        frame.time_base, frame.pts = Fraction(1, 1000), time
        frame.duration = duration
        frames.append(frame)
    return [frames.index(frame) for frame in at_rate(iter(frames), fps)]


@pytest.mark.parametrize(
    ("times", "fps", "expected"),
    [
        ([0, 40, 80, 120], 25.0, [0, 1, 2, 3]),
        ([500, 540, 580, 620], 25.0, [0, 1, 2, 3]),
        ([0, 40, 80, 120, 160, 200], 12.5, [0, 2, 4]),
        ([0, 40, 80], 50.0, [0, 0, 1, 1, 2, 2]),
        ([0, 40, 400, 440], 25.0, [0, *[1] * 9, 2, 3]),
        ([0, 40, 80], 1.0, [2]),
        ([0], 0.1, [0]),
        ([None, None, None], 25.0, [0, 1, 2]),
        ([0, 40, 20, 80], 25.0, [0, 2, 3]),
        ([], 25.0, []),
    ],
)
def test_which_frames_are_shown(times: list[int | None], fps: float, expected: list[int]) -> None:
    assert shown(times, fps) == expected


def dumped(path: Path, frames: Path, fps: float | None) -> int:
    options = DumpOptions(short_side=64, size=None, quality=95, flow=False, fps=fps)
    video = find_videos(path).videos[0]
    *_, result = dump_video(video, frames=frames, options=options)
    assert result is not None
    assert result.kind == "whole"
    assert is_dumped(video, frames, options) == result
    assert is_dumped(video, frames, options._replace(fps=7.0)) is None
    count = len(list((frames / video.folder).glob("img_*.jpg")))
    marker = read_marker(frames / video.folder)
    assert marker is not None
    assert marker["num_frames"] == count
    return count


def test_a_dump_at_half_the_rate_has_half_the_frames(tmp_path: Path) -> None:
    path = make_videos(tmp_path / "v", ["a.mp4"]) / "a.mp4"
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 0)
    assert [dumped(path, tmp_path / "f", fps) for fps in (None, rate, rate / 2, 2 * rate)] == [
        FRAMES,
        FRAMES,
        FRAMES // 2,
        2 * FRAMES,
    ]


@needs_shared
def test_a_variable_frame_rate_becomes_constant(tmp_path: Path) -> None:
    path = SHARED / "samples/made/vfr.mp4"
    with av.open(str(path)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    seconds = times[-1] - times[0]
    assert dumped(path, tmp_path, 10.0) == pytest.approx(10 * seconds, abs=2)
