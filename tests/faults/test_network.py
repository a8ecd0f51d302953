"""The link between two hosts cut in mid-run, a port that is taken, a rank that comes late: real processes."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.command_processes import start, start_ranks
from tests.engine.rank_processes import free_port, torchrun_variables
from tests.experiments import command, environment, write_experiment
from tests.shared_material import REPOSITORY

LONG = {"lr_scheduler": {"max_iter": 5000}, "val_freq": 5000}
TWO_HOSTS = str(REPOSITORY / "tests" / "slurm" / "two-hosts.sh")
TIME_OUT = 20  # seconds, of the process group


@pytest.fixture
def hosts() -> Iterator[str]:
    """The name of two hosts; they are gone afterwards."""
    name = f"va{os.getpid() % 100_000}"
    made = subprocess.run([TWO_HOSTS, "up", name], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        subprocess.run([TWO_HOSTS, "down", name], check=False)
        pytest.skip(f"no network namespaces can be made here: {made.stderr.strip()}")
    yield name
    subprocess.run([TWO_HOSTS, "down", name], check=True)


def start_on_hosts(config: Path, hosts: str) -> list[subprocess.Popen[str]]:
    """A rank on each host, as `torchrun` or `srun` on two nodes would start them."""
    ranks = []
    for rank, host in enumerate("AB"):
        world = {**torchrun_variables(rank, 2, 29_500), "MASTER_ADDR": "10.77.0.1", "LOCAL_RANK": "0"}
        variables = {**environment(), **world, "GLOO_SOCKET_IFNAME": hosts + host}
        inside = ["ip", "netns", "exec", hosts + host, *command(config)]
        out = (config.parent.parent / f"out {rank}").open("w")
        ranks.append(subprocess.Popen(inside, env=variables, stdout=out, stderr=subprocess.PIPE, text=True))
    return ranks


def wait_for(log: Path, text: str, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < end, f"no {text!r} in {log}"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.faults
def test_both_hosts_end_at_the_time_out_when_the_link_is_cut(tmp_path: Path, hosts: str) -> None:
    config = write_experiment(tmp_path, timeout=TIME_OUT / 60, **LONG)
    ranks = start_on_hosts(config, hosts)
    try:
        wait_for(config.parent / "log.txt", "iter 4/")
        subprocess.run([TWO_HOSTS, "cut", hosts], check=True)
        since = time.monotonic()
        printed = [rank.communicate(timeout=240)[1] for rank in ranks]
        seconds = time.monotonic() - since
    finally:
        for rank in ranks:
            rank.kill()
    print(f"both ended {seconds:.1f} s after the cut, the time-out is {TIME_OUT} s")
    assert all(rank.returncode not in (0, -signal.SIGKILL) for rank in ranks)
    assert seconds < 2 * TIME_OUT + 20
    last = (config.parent / "log.txt").read_text().splitlines()[-1]
    assert "error: rank 1 on " in last, last
    assert "did not answer" in last, last
    assert "Traceback" not in "".join(printed), printed


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, **LONG)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        finished = start(config, variables=torchrun_variables(0, 2, port)).finish()
    assert finished.status == 2
    (line,) = finished.err.splitlines()
    assert line.startswith(f"error: port {port} of 127.0.0.1 is taken")


@pytest.mark.slow
def test_rank_0_may_come_20_seconds_late(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, lr_scheduler={"max_iter": 2}, val_freq=2)
    port = free_port()
    late = start(config, variables=torchrun_variables(1, 2, port))
    time.sleep(20)
    first = start(config, variables=torchrun_variables(0, 2, port))
    assert [rank.finish().status for rank in (first, late)] == [0, 0]
    assert "2 rank(s)" in (config.parent / "log.txt").read_text()


@pytest.mark.parametrize("lost", [0, 1])
def test_a_rank_that_never_comes_is_one_line_at_the_time_out(tmp_path: Path, lost: int) -> None:
    config = write_experiment(tmp_path, timeout=0.05, **LONG)
    finished = start(config, variables=torchrun_variables(1 - lost, 2, free_port())).finish()
    assert finished.status == 2
    (line,) = [line for line in finished.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in finished.err
    assert "within 0.05 minutes" in line
    assert not (config.parent / "log.txt").exists()


def test_a_broken_video_that_stops_one_rank_is_one_line_for_all(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, bad_data={"train": "stop"}, **LONG)
    for frame in (tmp_path / "frames" / "clip 5").iterdir():
        frame.write_bytes(b"")
    ranks = [rank.finish() for rank in start_ranks(config)]
    assert [rank.status for rank in ranks] == [2, 2]
    assert "Traceback" not in "".join(rank.err for rank in ranks)
    lines = [line for rank in ranks for line in rank.err.splitlines()]
    assert len(lines) == 1, lines
    assert f"{tmp_path}/list.txt:6: clip 5: " in lines[0]
