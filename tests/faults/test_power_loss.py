"""Power loss after a save was acknowledged: what the disk holds at that moment is mounted elsewhere, and loads.

The disk is an image file behind a loop device: what was not synced is not in it yet.
"""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from engine.checkpoint import BEST, LATEST, load_checkpoint, save_checkpoint
from engine.checkpoint_choice import find_checkpoint
from engine.checkpoint_writer import CheckpointWriter
from tests.engine.test_checkpoint import state

pytestmark = [pytest.mark.slow, pytest.mark.faults]
NUMBERS = 500_000
# File system and mount options; the second leaves out ext4's own care for files renamed unsynced, the third lets a copy
# of a mounted disk be mounted beside it.
DISKS = [("ext4", "defaults"), ("ext4", "noauto_da_alloc"), ("xfs", "nouuid")]
SIZES = {"ext4": 64 << 20, "xfs": 320 << 20}
MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q"]}


@contextlib.contextmanager
def mounted(image: Path, options: str) -> Iterator[Path]:
    """The file system in `image`; skips where this machine has no loop mounts for us."""
    folder = image.with_suffix(".mounted")
    folder.mkdir()
    command = ["mount", "-o", f"loop,{options}", str(image), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"no loop mounts here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def image(tmp_path: Path, system: str) -> Path:
    """A disk with an empty file system."""
    if shutil.which(MAKE[system][0]) is None or os.geteuid() != 0:
        pytest.skip(f"needs {MAKE[system][0]} and root")
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(SIZES[system])
    subprocess.run([*MAKE[system], str(path)], check=True)
    return path


def pull_the_plug(image: Path, number: int) -> Path:
    """What the disk holds now."""
    return Path(shutil.copy(image, image.with_name(f"after power loss {number}")))


@pytest.mark.parametrize(("system", "options"), DISKS)
@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_the_last_acknowledged_save_is_on_the_disk(delay: float, options: str, image: Path) -> None:
    with (
        mounted(image, options) as folder,
        CheckpointWriter(folder, extra={}, keep=2, background=True) as writer,
    ):
        for iteration in range(1, 4):
            writer.start(state(iteration, NUMBERS), best=iteration == 2)
            assert writer.wait() == ()
            time.sleep(delay)
            after = pull_the_plug(image, iteration)
            with mounted(after, options) as later:
                found = find_checkpoint(later)
                assert (found.path.name, found.state["iteration"], found.damaged) == (LATEST, iteration, [])
                assert torch.equal(found.state["model"]["weight"], state(iteration, NUMBERS)["model"]["weight"])
                assert iteration < 2 or load_checkpoint(later / BEST)["iteration"] == 2
            after.unlink()


@pytest.mark.parametrize(("system", "options"), DISKS)
def test_without_syncing_it_would_be_lost(options: str, image: Path) -> None:
    """So the test above can fail."""
    with mounted(image, options) as folder:
        save_checkpoint(folder, state(1, NUMBERS), best=False)
        torch.save(state(2, NUMBERS), folder / "new")
        (folder / "new").replace(folder / "unsynced")
        after = pull_the_plug(image, 0)
        with mounted(after, options) as later:
            assert find_checkpoint(later).state["iteration"] == 1
            path = later / "unsynced"
            assert not path.exists() or path.stat().st_size < (folder / "unsynced").stat().st_size
