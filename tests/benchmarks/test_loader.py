"""The loader beside its yardsticks: the same clips, and what they cost."""

import os
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from benchmarks.loader import BATCH, Workload, difference, loaders, measure, our_loader, plain_loader
from benchmarks.made_frames import MEAN_BYTES, mean_size, write_frames
from benchmarks.scaling import threaded_loader
from benchmarks.yardsticks import OpenCvClips, PilClips
from tests.frame_folders import make_frame_folders


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    folder = tmp_path_factory.mktemp("made")
    write_frames(folder, videos=8, frames=8)
    return Workload(folder, 2)


def test_made_frames_are_as_large_as_real_ones(work: Workload) -> None:
    assert abs(mean_size(work.root) / MEAN_BYTES - 1) < 0.15


def test_clips_are_those_of_pillow_but_for_some_colour(work: Workload) -> None:
    """Crops, frames and flips are the same: a flip or a shift by a pixel would be tens of grey levels."""
    assert difference(work) <= 1.5


def test_all_yardsticks_make_the_same_clips(work: Workload) -> None:
    for pil, opencv in zip(plain_loader(work, PilClips), plain_loader(work, OpenCvClips)):
        assert pil.shape == (BATCH, 8, 224, 224, 3)
        assert pil.dtype == torch.uint8
        assert (pil.float() - opencv.float()).abs().mean() < 3
    assert set(loaders(work)) == {"pil", "pil_float", "opencv", "bare", "ours"}


def test_threads_make_the_batches_of_processes(work: Workload) -> None:
    batches = zip(our_loader(work), threaded_loader(work._replace(workers=2)), strict=True)
    assert [torch.equal(mine.frames, theirs.frames) for mine, theirs in batches] == [True, True]


@pytest.mark.slow
def test_ours_costs_little_more_than_decoding(work: Workload) -> None:
    """CPU time on any machine, busy ones too.

    The issue's target of 1.6 x bare decoding holds. Its 0.20 x Pillow and 0.50 x OpenCV don't: bare decoding alone
    takes 0.35 and 0.57 of these, so what is held is what docs/performance.md has (0.44 to 0.46, 0.71 to 0.76), with
    room for noise.
    """
    found = measure(work._replace(batches=40), rounds=3)
    assert found["ours"] <= 1.6 * found["bare"]
    assert found["ours"] <= 0.55 * found["pil"]
    assert found["ours"] <= 0.85 * found["opencv"]


def resident_megabytes(process: int) -> float:
    """Memory of a process that is its own, or shared and touched by it."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc on this system")
def test_memory_stays_flat_over_50000_clips_of_a_list_of_200000_lines(tmp_path: Path) -> None:
    """Tiny frames, so that it takes a minute or two of CPU; they go the way that large ones go."""
    names = [f"video_{number}" for number in range(8)]
    make_frame_folders(tmp_path / "frames", names, frames=8, size=(32, 40))
    (tmp_path / "list.txt").write_text("".join(f"{names[n % 8]} 8 {n % 2}\n" for n in range(200_000)))
    growth = memory_growth(Workload(tmp_path, 50_000 // BATCH, workers=2, size=32))
    assert max(growth) < 30, f"main process and workers grew by {growth} MiB"


def memory_growth(work: Workload) -> list[float]:
    """MiB by which the main process and each worker grow from the 2,000th clip to near the last."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    known = set(children.read_text().split())
    loader = our_loader(work)
    workers = [int(child) for child in set(children.read_text().split()) - known]
    assert len(workers) == work.workers
    seen = []
    for number, _ in enumerate(loader):
        if number in (2000 // BATCH, work.batches - 20):  # the workers leave with the last batches
            seen.append([resident_megabytes(process) for process in (os.getpid(), *workers)])
    settled, last = seen
    return [round(after - before, 1) for before, after in zip(settled, last)]


if __name__ == "__main__":  # frames of full size: python -m tests.benchmarks.test_loader CLIPS
    with tempfile.TemporaryDirectory() as folder:
        write_frames(Path(folder), videos=8, frames=8)
        print(memory_growth(Workload(Path(folder), int(sys.argv[1]) // BATCH, workers=2)), "MiB")
