"""Folders into one packed file: the same bytes, resumable, verified, read-only, and damage is noticed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import lmdb
import numpy as np
import pytest
import torch

from datasets.broken_video import BrokenVideo
from datasets.frame_names import FrameNames
from datasets.frame_sources import FolderSource, PackedSource
from datasets.packed_file import close_packed
from datasets.prepare.pack_frames import main
from datasets.prepare.packing import PackJob, _locked, pack
from tests.frame_folders import make_flow_folder, make_frame_folders, write_list
from tests.shared_material import REPOSITORY
from utils.errors import UserError

VIDEOS = ["run/a", "run/b c", "walk/d" * 100]


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    make_frame_folders(tmp_path / "frames", VIDEOS, frames=6)
    write_list(tmp_path / "list.txt", [f"{video} 6 0" for video in VIDEOS])
    return tmp_path / "frames"


def packed(frames: Path, *words: str, status: int = 0) -> Path:
    out = frames.parent / "out.lmdb"
    assert main([str(frames), str(frames.parent / "list.txt"), str(out), *words]) == status
    return out


def test_a_packed_file_holds_the_pixels_of_the_folders(frames: Path) -> None:
    source, folder = PackedSource(file=packed(frames)), FolderSource(root=frames)
    for video in VIDEOS:
        assert source.num_frames(video) == 6
        for wanted in (np.array([5, 0, 3, 3]), np.arange(6)):
            pairs = zip(source.read(video, wanted), folder.read(video, wanted))
            assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    assert sorted(path.name for path in frames.parent.iterdir()) == ["frames", "list.txt", "out.lmdb"]
    close_packed(source.file)


def test_flow_is_packed_in_pairs(tmp_path: Path) -> None:
    make_flow_folder(tmp_path / "flow/v", frames=4)
    out = tmp_path / "flow.lmdb"
    write_list(tmp_path / "list.txt", ["v 4 0"])
    assert main([str(tmp_path / "flow"), str(tmp_path / "list.txt"), str(out), "--modality", "Flow"]) == 0
    (frame,) = PackedSource(file=out, modality="Flow").read("v", np.array([3]))
    assert [int(frame[..., channel].float().mean()) for channel in (0, 1)] == [30, 225]
    with pytest.raises(BrokenVideo, match=r"flow\.lmdb: holds Flow, needs RGB"):
        PackedSource(file=out)


def test_a_read_only_place_is_enough(frames: Path, tmp_path: Path) -> None:
    out = packed(frames)
    place = tmp_path / "read only"
    place.mkdir()
    shutil.copy(out, place / "x.lmdb")
    (place / "x.lmdb").chmod(0o444)
    place.chmod(0o555)
    code = (
        "import os, numpy\n"
        "from pathlib import Path\n"
        "from datasets.frame_sources import PackedSource\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"  # root may write anywhere
        f"print(len(PackedSource(file=Path({str(place / 'x.lmdb')!r})).read('run/a', numpy.arange(6))))\n"
    )
    if os.getuid() == 0:
        for folder in (tmp_path, *list(tmp_path.parents)[:2]):
            folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout == "6\n", done.stderr
    assert os.listdir(place) == ["x.lmdb"]


def test_what_is_missing_is_named_and_left_out(frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (frames / "run/b c/img_00006.jpg").unlink()
    shutil.rmtree(frames / VIDEOS[2])
    out = packed(frames, status=1)
    printed = capsys.readouterr().out
    assert "run/b c: the list says 6 frames, the folder has 5\n" in printed
    assert "No such file or directory" in printed
    assert "1 of 3 videos" in printed
    source = PackedSource(file=out)
    with pytest.raises(BrokenVideo, match=r"out\.lmdb: holds no video run/b c"):
        source.read("run/b c", np.array([0]))
    with pytest.raises(BrokenVideo, match=r"holds 6 frames of run/a, number 6 \(from 0\) is not among them"):
        source.read("run/a", np.array([0, 6]))
    with pytest.raises(UserError, match=r"lacks 2 of the 3 listed videos, e\.g\. run/b c"):
        packed(frames)


@pytest.mark.slow
def test_a_killed_job_goes_on_where_it_was(tmp_path: Path) -> None:
    videos = [f"v{number}" for number in range(24)]
    for place in range(0, 24, 8):
        make_frame_folders(tmp_path / "frames", videos[place : place + 8], frames=25, size=(240, 320))
    write_list(tmp_path / "list.txt", [f"{video} 25 0" for video in videos])
    out = tmp_path / "out.lmdb"
    words = [str(tmp_path / "frames"), str(tmp_path / "list.txt"), str(out)]
    run = subprocess.Popen([sys.executable, "-m", "datasets.prepare.pack_frames", *words], cwd=REPOSITORY)
    unfinished = tmp_path / "out.lmdb.packing"
    deadline = time.monotonic() + 60
    while not unfinished.exists() and not out.exists():
        assert time.monotonic() < deadline
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()
    if unfinished.exists():
        with pytest.raises(BrokenVideo):
            PackedSource(file=unfinished)
        close_packed(unfinished)
    assert main(words) == 0
    source, folder = PackedSource(file=out), FolderSource(root=tmp_path / "frames")
    for video in videos:
        frames = zip(source.read(video, np.arange(25)), folder.read(video, np.arange(25)))
        assert all(torch.equal(ours, theirs) for ours, theirs in frames)


def test_a_job_with_other_options_does_not_go_on(frames: Path) -> None:
    out = frames.parent / "out.lmdb"
    job = PackJob(frames, out, "RGB", FrameNames("img_{:05d}.jpg", 1))
    with lmdb.open(f"{out}.packing", subdir=False) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"about", b'{"format": 1, "modality": "Flow", "identity": "x"}')
    with pytest.raises(UserError, match="was begun with another modality and frames and names; remove it"):
        pack(job, {"run/a": 6}, workers=1, verified=True)


def test_damage_is_noticed(frames: Path) -> None:
    out = packed(frames)
    data = bytearray(out.read_bytes())
    place = data.rindex((frames / "run/a/img_00004.jpg").read_bytes()[-200:])
    data[place + 50] ^= 1
    (frames.parent / "damaged.lmdb").write_bytes(data)
    (frames.parent / "short.lmdb").write_bytes(data[: len(data) // 2])
    (frames.parent / "text.lmdb").write_text("no such thing " * 1000)
    source, faults = PackedSource(file=frames.parent / "damaged.lmdb"), []
    for video in VIDEOS:
        try:
            source.read(video, np.arange(6))
        except BrokenVideo as error:
            faults.append(error.reason)
    (fault,) = faults
    assert "has a wrong checksum: the file is damaged, copy it again" in fault
    with pytest.raises(BrokenVideo, match="were written: the copy is not whole"):
        PackedSource(file=frames.parent / "short.lmdb")
    for name in ("text.lmdb", "nowhere.lmdb"):
        with pytest.raises(BrokenVideo, match=f"{name}: can't be opened as a packed file"):
            PackedSource(file=frames.parent / name)


def test_the_map_grows(frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.prepare.packing.FIRST_SIZE", 32768)
    source = PackedSource(file=packed(frames))
    assert len(source.read("run/b c", np.arange(6))) == 6


def test_two_jobs_do_not_write_to_one_file(frames: Path) -> None:
    with (
        _locked(frames.parent / "out.lmdb.packing.pid"),
        pytest.raises(UserError, match="another pack_frames is at it"),
    ):
        packed(frames)
