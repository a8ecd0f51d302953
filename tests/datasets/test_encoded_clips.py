"""`source.decode: device`: the clips of the usual way, decoded after the workers; refused where there is no GPU."""

import io
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from benchmarks.made_frames import write_frames
from datasets.batches import Batch, BatchKey
from datasets.broken_video import BrokenVideo
from datasets.encoded_clips import EncodedBatches, decoded
from datasets.frame_sources.jpeg import check_ends
from datasets.loaders import ClipFormat, build_train_dataset, build_train_loader
from datasets.samplers import SampleKey
from datasets.videos import read_videos
from tests.datasets.folder_config import folder_config
from utils.config_rules import rule_mistakes
from utils.errors import UserError

CLIP = ClipFormat("segments", 1, "multi_scale")
KEYS = [BatchKey([SampleKey(4 * n + place, (3 * n + place) % 10) for place in range(4)], None) for n in range(5)]
CPU = torch.device("cpu")


def usual(folder: Path, **values: Any) -> list[Batch]:
    config = folder_config(folder, **values)
    videos = read_videos(config, "train", sampling="segments")
    return list(build_train_loader(config, videos, CLIP, rank=0, world_size=1, start_iteration=0))


def encoded_batches(folder: Path, device: torch.device = CPU) -> tuple[list[Batch], list[list[Any]]]:
    """Batches of KEYS by way of their JPEGs, and the samples of the usual way."""
    config = folder_config(folder)
    videos = read_videos(config, "train", sampling="segments")
    dataset = build_train_dataset(config, videos, CLIP)
    encoded = [EncodedBatches(dataset)[key] for key in KEYS]
    made = list(decoded(encoded, size=16, device=device, where=videos.videos.where))
    return made, [[dataset[clip] for clip in key.clips] for key in KEYS]


def hold(made: list[Batch], samples: list[list[Any]]) -> None:
    """Same clips, labels and places; pixels to a grey level, for these frames have all their colours."""
    for batch, wanted in zip(made, samples, strict=True):
        frames = torch.stack([sample.frames for sample in wanted])
        assert (batch.frames.shape, batch.frames.dtype) == (frames.shape, torch.uint8)
        assert (batch.frames.cpu().int() - frames.int()).abs().max() <= 1
        assert batch.label.tolist() == [sample.label for sample in wanted]
        assert batch.video_index.tolist() == [sample.video_index for sample in wanted]
        assert batch.position.tolist() == [sample.position for sample in wanted]


def test_the_clips_are_those_of_the_usual_way(tmp_path: Path) -> None:
    hold(*encoded_batches(tmp_path))


def test_frames_of_quarter_colours_are_decoded_exactly(tmp_path: Path) -> None:
    """Within 1.5 grey levels of the usual way, which doubles their colours."""
    write_frames(tmp_path, videos=10, frames=12)
    (tmp_path / "list.txt").write_text("".join(f"video_{n:03d} 12 0\n" for n in range(10)))
    made, samples = encoded_batches(tmp_path)
    off = [
        (b.frames.int() - torch.stack([s.frames for s in w]).int()).abs().float().mean() for b, w in zip(made, samples)
    ]
    assert 0 < max(off) <= 1.5


def test_what_the_decoder_does_not_take_is_decoded_one_by_one(tmp_path: Path) -> None:
    folder_config(tmp_path)
    for file in (tmp_path / "frames" / "v 3").glob("*.jpg"):
        picture = io.BytesIO()
        PIL.Image.open(file).convert("CMYK").save(picture, "JPEG", quality=95, subsampling=0)
        file.write_bytes(picture.getvalue())
    hold(*encoded_batches(tmp_path))


def test_a_file_cut_short_is_replaced_by_the_worker_and_named(tmp_path: Path) -> None:
    folder_config(tmp_path)
    for file in (tmp_path / "frames" / "v 3").glob("*.jpg"):
        file.write_bytes(file.read_bytes()[:-100])
    made, samples = encoded_batches(tmp_path)
    hold(made, samples)
    lines = [line for batch in made for line in batch.broken]
    assert lines
    assert all("list.txt:4: " in line and "broken JPEG (premature end of file)" in line for line in lines)
    with pytest.raises(BrokenVideo, match=r"v 3/img_00001\.jpg: broken JPEG"):
        check_ends((tmp_path / "frames/v 3/img_00001.jpg").read_bytes(), "v 3/img_00001.jpg")


def test_what_no_decoder_takes_ends_the_run(tmp_path: Path) -> None:
    folder_config(tmp_path)
    for file in (tmp_path / "frames" / "v 3").glob("*.jpg"):
        file.write_bytes(file.read_bytes().replace(b"\xff\xdb", b"\xff\xfe"))  # its tables are comments now
    with pytest.raises(UserError, match=r"list\.txt:4: .*mend or leave out the video, or set common\.source\.decode"):
        encoded_batches(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        usual(tmp_path, source={"decode": "device"})
    assert caught.value.lines == (
        "common.source.decode: got device, needs a CUDA GPU, and PyTorch sees none here: set it to cpu",
    )


def test_videos_and_flow_have_no_pictures_to_decode(tmp_path: Path) -> None:
    config = folder_config(tmp_path, source={"decode": "device", "type": "video"}, model={"modality": "Flow"})
    lines = [line for mistake in rule_mistakes(config) if (line := str(mistake)) and "source.decode" in line]
    assert len(lines) == 2


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("workers", [0, 2])
def test_on_a_gpu_the_batches_are_those_of_the_cpu(tmp_path: Path, workers: int) -> None:
    expected = usual(tmp_path, workers=workers)
    made = usual(tmp_path, workers=workers, source={"decode": "device"})
    assert len(made) == len(expected)
    for mine, theirs in zip(made, expected):
        assert mine.frames.is_cuda
        assert (mine.frames.cpu().int() - theirs.frames.int()).abs().float().mean() <= 1.0
        assert torch.equal(mine.position, theirs.position)
        assert torch.equal(mine.label, theirs.label)
