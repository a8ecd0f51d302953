"""Video files decoded directly: the frames that dumping gives, by index; odd files end in frames or `BrokenVideo`."""

import re
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from datasets import video_index
from datasets.broken_video import BrokenVideo
from datasets.frame_sources import Memcached, VideoSource
from datasets.video_decoding import decode_frames, open_video
from datasets.video_index import VideoIndex
from tests.memcached_servers import needs_memcached, running
from tests.shared_material import SHARED, needs_shared

SAMPLES, WEIZMANN = SHARED / "samples", SHARED / "data" / "weizmann" / "videos"


def write_video(file: Path, frames: int, *, codec: str = "libx264", size: tuple[int, int] = (48, 64)) -> Path:
    """An .mp4 whose frame i is flat grey of level 8 i, with B-frames and key frames 12 apart."""
    with av.open(str(file), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.gop_size = 12
        for index in range(frames):
            pixels = np.full((*size, 3), 8 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file


def levels(frames: list[torch.Tensor]) -> list[int]:
    return [round(float(frame.float().mean()) / 8) for frame in frames]


def test_frames_come_by_index_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    write_video(tmp_path / "my video.mp4", 30)
    source = VideoSource(root=tmp_path)
    assert source.num_frames("my video.mp4") == 30
    frames = source.read("my video.mp4", np.array([29, 0, 13, 13, 12, 1]))
    assert levels(frames) == [29, 0, 13, 13, 12, 1]
    assert {(frame.dtype, tuple(frame.shape)) for frame in frames} == {(torch.uint8, (48, 64, 3))}
    assert frames[2] is frames[3]  # decoded once


def test_a_frame_behind_the_end_is_broken(tmp_path: Path) -> None:
    write_video(tmp_path / "v.mp4", 5)
    with pytest.raises(BrokenVideo, match=r"v\.mp4: frame 5 is wanted, the video ends before it"):
        VideoSource(root=tmp_path).read("v.mp4", np.array([0, 5]))


@pytest.mark.parametrize("name", ["missing.mp4", "empty.mp4", "text.mp4", "folder"])
def test_what_is_no_video_is_broken(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    (tmp_path / "folder").mkdir()
    source = VideoSource(root=tmp_path)
    for attempt in (lambda: source.num_frames(name), lambda: source.read(name, np.array([0]))):
        with pytest.raises(BrokenVideo, match=f"{name}: can't be opened as a video"):
            attempt()


@needs_shared
@pytest.mark.parametrize("video", sorted(str(path.relative_to(WEIZMANN)) for path in WEIZMANN.rglob("*.mp4"))[::12])
def test_random_indices_equal_decoding_in_sequence(video: str) -> None:
    sequence = [torch.from_numpy(frame) for frame in decode_frames(WEIZMANN / video)]
    source, rng = VideoSource(root=WEIZMANN), np.random.default_rng(0)
    assert source.num_frames(video) == len(sequence)
    for wanted in [np.arange(len(sequence)), *(rng.integers(len(sequence), size=8) for _ in range(3))]:
        frames = source.read(video, wanted)
        assert all(torch.equal(frame, sequence[index]) for frame, index in zip(frames, wanted))


@needs_shared
@pytest.mark.parametrize(
    ("video", "num_frames", "size"),
    [
        ("made/vfr.mp4", 54, (144, 180)),
        ("made/rotated90_tag.mp4", 88, (180, 144)),
        ("made/single_gop_bframes.mp4", 88, (144, 180)),
        ("made/nonzero_start_copyts.mp4", 26, (272, 640)),
        ("made/fragmented_no_nb_frames.mp4", 25, (144, 180)),
        ("made/truncated_faststart.mp4", 8, (144, 180)),
        ("made/one_frame.mp4", 1, (144, 180)),
        ("made/odd_179x143_yuv444.mp4", 88, (143, 179)),
        ("made/anim.gif", 35, (96, 120)),
        ("decord/unordered.mov", 4, (50, 50)),
        ("torchcodec/h264_10bits.mp4", 30, (200, 200)),
        ("torchcodec/av1_video.mkv", 125, (360, 640)),
        ("moviepy/bitmap.mp4", 5, (1, 1)),
    ],
)
def test_odd_videos_give_frames(video: str, num_frames: int, size: tuple[int, int]) -> None:
    source = VideoSource(root=SAMPLES)
    assert source.num_frames(video) == num_frames
    frames = source.read(video, np.array([num_frames - 1, 0]))
    assert [tuple(frame.shape) for frame in frames] == [(*size, 3)] * 2


@needs_shared
@pytest.mark.parametrize("turned", [90, 180, 270])
def test_the_rotation_tag_is_applied(turned: int) -> None:
    cv2 = pytest.importorskip("cv2")
    (frame,) = VideoSource(root=SAMPLES).read(f"decord/video_{turned}.mov", np.array([0]))
    seen = cv2.VideoCapture(str(SAMPLES / "decord" / f"video_{turned}.mov")).read()[1]  # applies the tag itself
    assert abs(seen[:, :, ::-1].astype(int) - frame.numpy()).mean() < 1


@needs_shared
@pytest.mark.parametrize(
    "video", ["made/audio_only.m4a", "made/empty_0byte.mp4", "made/text_renamed.mp4", "made/truncated_no_moov.mp4"]
)
def test_samples_without_frames_are_broken(video: str) -> None:
    with pytest.raises(BrokenVideo, match=video):
        VideoSource(root=SAMPLES).num_frames(video)


def test_damaged_bytes_give_frames_or_broken_video(tmp_path: Path) -> None:
    data, rng = bytearray(write_video(tmp_path / "v.mp4", 20).read_bytes()), np.random.default_rng(0)
    source = VideoSource(root=tmp_path)
    for trial in range(100):
        damaged = bytearray(data)
        for place in rng.integers(len(data), size=10):
            damaged[place] = rng.integers(256)
        (tmp_path / f"{trial}.mp4").write_bytes(damaged[: rng.integers(len(data) // 2, 2 * len(data))])
        try:
            num_frames = source.num_frames(f"{trial}.mp4")
            assert len(source.read(f"{trial}.mp4", np.array([0, num_frames - 1]))) == 2
        except BrokenVideo as error:
            assert f"{trial}.mp4" in error.reason  # noqa: PT017


def test_decoding_uses_one_thread(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "v.mp4", 2)) as container:
        assert container.streams.video[0].codec_context.thread_count == 1


SAMPLE_FILES = sorted(str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*") if path.is_file())


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("video", SAMPLE_FILES)
def test_every_frame_of_every_sample_is_the_one_that_dumping_gives(video: str) -> None:
    """All frames alone and together, of files that a dump accepts; the others are broken or end where it ends."""
    dumped = []
    try:
        for frame in decode_frames(SAMPLES / video):
            dumped.append(torch.from_numpy(frame))
    except BrokenVideo:
        pass  # up to there
    source, rng = VideoSource(root=SAMPLES), np.random.default_rng(0)
    if not dumped:
        with pytest.raises(BrokenVideo, match=re.escape(video)):
            source.read(video, np.array([0]))
        return
    assert source.num_frames(video) == len(dumped)
    few = [np.sort(rng.integers(len(dumped), size=4)) for _ in range(3)]
    for wanted in [np.arange(len(dumped)), *few, np.array([len(dumped) - 1]), np.array([0])]:
        frames = source.read(video, wanted)
        assert all(torch.equal(frame, dumped[index]) for frame, index in zip(frames, wanted, strict=True))


def key_frame_video(file: Path, frames: int, gop: int, options: dict[str, str]) -> Path:
    """Moving noise, so that frames differ, with key frames `gop` apart."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (64, 64 + frames, 3), dtype=np.uint8)
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 64, "yuv420p"
        stream.codec_context.gop_size = gop
        for index in range(frames):
            pixels = np.ascontiguousarray(noise[:, index : index + 64])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file


@pytest.mark.parametrize(
    "options", [{"bf": "0"}, {"bf": "3", "b-pyramid": "none"}, {"bf": "3"}, {"x264-params": "open-gop=1:bframes=3"}]
)
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi"])
def test_seeking_gives_the_frames_of_decoding_in_sequence(tmp_path: Path, options: dict[str, str], suffix: str) -> None:
    video = key_frame_video(tmp_path / f"v.{suffix}", 60, 10, options).name
    sequence = [torch.from_numpy(frame) for frame in decode_frames(tmp_path / video)]
    assert len(sequence) == 60
    source = VideoSource(root=tmp_path)
    for wanted in [np.array([index]) for index in range(60)] + [np.array([3, 9, 10, 11, 29, 55]), np.arange(60)]:
        frames = source.read(video, wanted)
        assert all(torch.equal(frame, sequence[index]) for frame, index in zip(frames, wanted, strict=True))


def test_a_late_frame_does_not_need_the_whole_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = key_frame_video(tmp_path / "v.mp4", 200, 10, {"bf": "0"}).name
    numbers = []
    number = video_index._number

    def counting(frame: av.VideoFrame, index: VideoIndex) -> int:
        numbers.append(number(frame, index))
        return numbers[-1]

    monkeypatch.setattr(video_index, "_number", counting)
    VideoSource(root=tmp_path).read(video, np.array([153, 187]))
    assert set(numbers) <= set(range(150, 160)) | set(range(180, 190))


@needs_memcached
def test_memcached_keeps_decoded_frames(tmp_path: Path) -> None:
    video = key_frame_video(tmp_path / "v.mp4", 20, 10, {}).name
    with running() as servers:
        cache = Memcached(servers=[servers[0].name])
        plain, cached = VideoSource(root=tmp_path), VideoSource(root=tmp_path, cache=cache)
        for wanted in (np.array([3, 0, 7, 7]), np.array([7, 8, 3])):
            pairs = zip(plain.read(video, wanted), cached.read(video, wanted))
            assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
        assert (cache.counts()["hits"], cache.counts()["misses"]) == (2, 4)
        key_frame_video(tmp_path / "v.mp4", 20, 10, {"crf": "51"})  # another file under the same name
        assert torch.equal(*(source.read(video, np.array([3]))[0] for source in (VideoSource(root=tmp_path), cached)))
