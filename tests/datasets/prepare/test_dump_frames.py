import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datasets.frame_sources import FolderSource
from datasets.prepare.dump_frames import main
from datasets.prepare.find_videos import find_videos
from datasets.prepare.frame_dump import DumpOptions, dump_video
from datasets.prepare.frame_folder import read_marker
from tests.datasets.prepare.moving_videos import FRAMES, make_videos
from tests.shared_material import REPOSITORY, SHARED, needs_shared
from utils.errors import UserError

NAMES = [f"class {number % 3}/v{number:02d}.mp4" for number in range(48)]


def _start(videos: Path, frames: Path, *options: str) -> subprocess.Popen[str]:
    def interruptible() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # also where the tests run in the background

    command = [
        sys.executable,
        "-m",
        "datasets.prepare.dump_frames",
        str(videos),
        str(frames),
        "--workers",
        "2",
        *options,
    ]
    return subprocess.Popen(
        command, cwd=REPOSITORY, preexec_fn=interruptible, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _folders(frames: Path) -> list[Path]:
    return sorted(path for path in frames.glob("class */*"))


def _wait_for_folders(frames: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(_folders(frames)) < count:
        assert time.monotonic() < deadline, "no frames after a minute"
        time.sleep(0.005)


def _all_whole(frames: Path) -> bool:
    folders = _folders(frames)
    counts = [len(list(folder.glob("img_*.jpg"))) for folder in folders]
    return len(folders) == len(NAMES) and set(counts) == {FRAMES} and all(map(read_marker, folders))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("videos"), NAMES)


def test_a_killed_run_leaves_whole_folders_and_the_next_does_the_rest(videos: Path, tmp_path: Path) -> None:
    run = _start(videos, tmp_path)
    _wait_for_folders(tmp_path, 5)
    run.kill()
    run.wait()
    time.sleep(1.0)  # the workers see it and end
    before = {folder: folder.stat().st_ino for folder in _folders(tmp_path)}
    assert len(before) >= 5
    assert all(len(list(folder.glob("img_*.jpg"))) == FRAMES for folder in before)
    assert main([str(videos), str(tmp_path), "--workers", "2"]) == 0
    assert _all_whole(tmp_path)
    assert not (tmp_path / ".dumping").exists()
    assert {folder: folder.stat().st_ino for folder in before} == before
    report = (tmp_path / "dump_report.txt").read_text()
    assert report.startswith(f"# 48 videos: 48 whole, 0 truncated (kept), 0 broken; {len(before)} were there before")


def test_ctrl_c_stops_cleanly(videos: Path, tmp_path: Path) -> None:
    run = _start(videos, tmp_path)
    _wait_for_folders(tmp_path, 2)
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=60)
    if run.returncode == 0:
        pytest.skip("it was faster than the signal")
    assert run.returncode == 130
    assert "Traceback" not in output
    assert "stopped, run again to go on" in output
    assert not (tmp_path / ".dumping").exists()


def test_two_jobs_at_once(videos: Path, tmp_path: Path) -> None:
    runs = [_start(videos, tmp_path), _start(videos, tmp_path)]
    outputs = [run.communicate(timeout=120)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert _all_whole(tmp_path)
    assert not (tmp_path / ".dumping").exists()


def test_report_of_broken_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    videos = make_videos(tmp_path / "v", ["good.mp4", "twice.mp4"])
    (videos / "text.mp4").write_text("no video")
    os.link(videos / "twice.mp4", videos / "twice.avi")
    for _ in range(2):
        assert main([str(videos), str(tmp_path / "f"), "--workers", "1"]) == 1
        lines = (tmp_path / "f/dump_report.txt").read_text().splitlines()
        assert lines[0].startswith("# 4 videos: 1 whole, 0 truncated (kept), 3 broken")
        assert [line.split("\t")[0] for line in lines[1:]] == ["text.mp4", "twice.avi", "twice.mp4"]
        assert "text.mp4\tbroken: can't be opened as a video" in capsys.readouterr().out


def test_a_full_or_closed_place_stops_the_job(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "v", ["class/a.mp4"])
    (tmp_path / "f").mkdir()
    (tmp_path / "f/class").touch()
    with pytest.raises(UserError, match="run again to go on"):
        main([str(videos), str(tmp_path / "f"), "--workers", "1"])


@pytest.mark.parametrize(
    "words",
    [
        ["--size", "340"],
        ["--size", "0x256"],
        ["--quality", "101"],
        ["--workers", "0"],
        ["--short-side", "-1"],
        ["--shard", "2/2"],
        ["--shard", "1"],
        ["--fps", "0"],
    ],
)
def test_mistakes_on_the_command_line(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([str(tmp_path), str(tmp_path / "f"), *words])
    assert stopped.value.code == 2


def test_parts_make_the_whole_with_a_report_each(tmp_path: Path) -> None:
    videos = make_videos(tmp_path / "v", [f"{number}.mp4" for number in range(5)])
    for part, count in (("0/2", 3), ("1/2", 2)):
        assert main([str(videos), str(tmp_path / "f"), "--workers", "1", "--shard", part]) == 0
        report = (tmp_path / f"f/dump_report_{part.replace('/', '_of_')}.txt").read_text()
        assert report.startswith(f"# {count} videos: {count} whole")
    assert [folder.name for folder in sorted((tmp_path / "f").glob("[0-9]"))] == list("01234")


def test_tasks_of_srun_share_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = make_videos(tmp_path / "v", [f"{number}.mp4" for number in range(3)])
    for name, value in {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3", "SLURM_NTASKS": "3"}.items():
        monkeypatch.setenv(name, value)
    assert main([str(videos), str(tmp_path / "f"), "--workers", "1"]) == 0
    assert [folder.name for folder in (tmp_path / "f").glob("[0-9]")] == ["2"]
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")  # a batch script has the others too, and does all itself
    assert main([str(videos), str(tmp_path / "f"), "--workers", "1"]) == 0
    assert len(list((tmp_path / "f").glob("[0-9]"))) == 3


def test_a_second_dump_tells_caches_that_pictures_may_differ(tmp_path: Path) -> None:
    videos, frames = make_videos(tmp_path / "v", ["a.mp4"]), tmp_path / "f"
    identities = []
    for words in ([], [], ["--short-side", "32"]):
        assert main([str(videos), str(frames), "--workers", "1", *words]) == 0
        identities.append(FolderSource(root=frames).store.identity)
    assert identities[0] == identities[1] != identities[2]


@needs_shared
@pytest.mark.slow
def test_every_odd_file_ends_as_frames_or_as_a_line(tmp_path: Path) -> None:
    """The files that aren't videos by their suffix are counted and left out."""
    run = _start(SHARED / "samples", tmp_path, "--time-limit", "60")
    run.communicate(timeout=280)
    assert run.returncode == 1
    lines = (tmp_path / "dump_report.txt").read_text().splitlines()
    assert lines[0].startswith("# 79 videos: 63 whole, 1 truncated (kept), 15 broken")
    assert len(lines) == 1 + 16
    assert len(list(tmp_path.glob("**/.dump.json"))) == 64


@needs_shared
def test_files_that_are_no_videos_by_their_suffix_end_as_a_line_too_when_named(tmp_path: Path) -> None:
    files = [path for path in (SHARED / "samples").rglob("*") if path.suffix in (".mp3", ".wav", ".m4a")]
    assert len(files) == 7
    options = DumpOptions(short_side=256, size=None, quality=95, flow=False)
    for path in files:
        *_, result = dump_video(find_videos(path).videos[0], frames=tmp_path, options=options)
        assert result is not None
        assert (result.kind, result.reason) == ("broken", "holds no video stream")
    assert [path.name for path in tmp_path.iterdir()] == [".dumping"]
