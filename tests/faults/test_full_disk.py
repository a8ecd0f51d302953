"""main.py on a disk that is really full: a tmpfs of a few kilobytes or megabytes, in a mount namespace of its own."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.checkpoint import LATEST, load_checkpoint
from tests.engine.test_resume import sibling
from tests.experiments import checkpoint, command, differences, environment, run, write_experiment

pytestmark = [pytest.mark.slow, pytest.mark.faults]


class Ended(NamedTuple):
    """Exit status, stderr, and what lay on the small disk at the end."""

    status: int
    err: str
    disk: Path


def run_with_disk(config: Path, place: Path, size: str, *arguments: str, first: str = "true") -> Ended:
    """Run main.py with a tmpfs of `size` over the folder `place`, filled by the command `first`; stdout is full."""
    out = config.parent.parent / "what lay there"
    quoted = {name: shlex.quote(str(path)) for name, path in (("place", place), ("out", out))}
    script = (
        f"mount -t tmpfs -o size={size} none {quoted['place']} || exit 77\n{first} || exit 78\n"
        f"{shlex.join(command(config, *arguments))} >/dev/full\nstatus=$?\n"
        f"cp -r {quoted['place']} {quoted['out']}\nexit $status\n"
    )
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    finished = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    if finished.returncode == 77 or "unshare failed" in finished.stderr:
        pytest.skip(f"no mounts here: {finished.stderr.strip()}")
    return Ended(finished.returncode, finished.stderr, out)


@pytest.mark.parametrize("policy", ["stop", "continue"])
def test_no_room_for_a_second_checkpoint(policy: str, tmp_path: Path) -> None:
    """The experiment's folder has room for one checkpoint and a half."""
    config = write_experiment(tmp_path, ckpt_freq=1, print_freq=1, failed_save=policy, keep=1)
    assert run(config, "--set", "common.lr_scheduler.max_iter=1").returncode == 0
    small = sibling(config, "small")
    size = (config.parent / LATEST).stat().st_size * 3 // 2 // 1024
    ended = run_with_disk(small, small.parent, f"{size}k", first=shlex.join(["cp", str(config), str(small)]))
    assert ended.status == 2, ended.err
    (line,) = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert "can't be written (No space left on device); it needs about " in line
    assert "MB are free; the last checkpoint is as it was; mend that and start again" in line
    assert load_checkpoint(ended.disk / LATEST)["iteration"] == 1
    assert not [path.name for path in ended.disk.iterdir() if path.name.endswith(".tmp")]
    log = (ended.disk / "log.txt").read_text()
    assert ("training goes on without it" in log) == (policy == "continue")
    assert ("iter 6/6" in log) == (policy == "continue")


def test_no_room_for_the_log_and_the_curves_changes_no_result(tmp_path: Path) -> None:
    """log.txt and events/ lie on two pages of 4 KB, stdout is /dev/full; a warning for each, and the same weights."""
    config = write_experiment(tmp_path, lr_scheduler={"max_iter": 50}, print_freq=1, val_freq=25)
    assert run(config).returncode == 0
    full = sibling(config, "full")
    place = tmp_path / "small"
    place.mkdir()
    (full.parent / "log.txt").symlink_to(place / "log.txt")
    (full.parent / "events").symlink_to(place / "events")
    ended = run_with_disk(full, place, "8k", first=shlex.join(["mkdir", str(place / "events")]))
    assert ended.status == 0, ended.err
    states = [{**checkpoint(path), "config": None} for path in (config, full)]
    assert not differences(*states)
    warnings = [line for line in ended.err.splitlines() if line.startswith("warning: ")]
    assert sorted(line.split(": ")[1].split("/")[-1].split(".")[0] for line in warnings) == ["events", "log", "stdout"]
    assert all("No space left on device" in line for line in warnings)
    assert "Traceback" not in ended.err
    assert "Logging error" not in ended.err
    text = (ended.disk / "log.txt").read_text()
    assert text.endswith("\n")
    assert text.count("---- start") == 1
