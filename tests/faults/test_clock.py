"""The clock of the machine jumps by a day, forwards and back: nothing that a run measures or decides takes notice."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.experiments import checkpoint, command, environment, write_experiment
from tests.shared_material import REPOSITORY
from tests.test_structure import tracked

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
WALL_CLOCK = re.compile(r"time\.time\(|time\.time_ns\(|datetime\.(now|today|utcnow)\(|CLOCK_REALTIME")
ALLOWED = {
    "datasets/prepare/build_lists.py": "the date in a README",
    "datasets/prepare/frame_folder.py": "the age of a file, which only its date tells",
    "engine/event_file.py": "the date that TensorBoard's format wants of a record",
}
MEASURED = re.compile(r"iter \d+/.*data (\S+) s  step (\S+) s  (\S+) clips/s  left (\S+)")


def test_nothing_measures_by_the_wall_clock() -> None:
    code = [path for path in tracked() if path.split("/")[0] in ("main.py", "engine", "datasets", "methods", "utils")]
    assert len(code) > 80
    found = {path for path in code if WALL_CLOCK.search((REPOSITORY / path).read_text(encoding="utf-8"))}
    assert found == ALLOWED.keys()


def start(config: Path, clock: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command, whose clock goes by what stands in the file `clock`; the monotonic one is left alone by a jump."""
    fake = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    return subprocess.Popen(command(config, *arguments), env={**environment(), **fake}, stdout=subprocess.DEVNULL)


def wait_for_lines(log: Path, count: int) -> list[str]:
    """The lines of log.txt about iterations, once there are `count`."""
    end = time.monotonic() + 240
    while True:
        lines = [line for line in (log.read_text() if log.exists() else "").splitlines() if "  loss " in line]
        if len(lines) >= count:
            return lines
        assert time.monotonic() < end, lines
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.skipif(not FAKETIME, reason="no libfaketime here: apt-get install libfaketime")
def test_a_run_does_not_mind_jumps_of_the_clock(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, workers=1, lr_scheduler={"max_iter": 3000}, val_freq=3000, print_freq=1)
    log, clock = config.parent / "log.txt", tmp_path / "clock"
    clock.write_text("+0")
    run = start(config, clock)
    for jump in ("+1d", "-1d"):
        already = len(wait_for_lines(log, 3))
        clock.write_text(jump)
        already = len(wait_for_lines(log, already + 5))
    lines = wait_for_lines(log, already)
    days = {line[:10] for line in lines}
    assert len(days) >= 3, f"the clock did not jump: {days}"
    run.send_signal(signal.SIGTERM)
    assert run.wait(120) == 128 + signal.SIGTERM
    for line in lines:
        measured = MEASURED.search(line)
        assert measured, line
        data, step, rate = (float(number) for number in measured.groups()[:3])
        assert 0 <= data <= 60, line
        assert 0 <= step <= 60, line
        assert rate > 0, line
        assert "day" not in measured[4], line
    stopped_at = checkpoint(config)["iteration"]
    clock.write_text("-3d")  # the checkpoint is of the future now
    assert start(config, clock, "--set", f"common.lr_scheduler.max_iter={stopped_at + 2}").wait(240) == 0
    assert f"resumed from ckpt.pth.tar at iteration {stopped_at}" in log.read_text()
    assert checkpoint(config)["iteration"] == stopped_at + 2
