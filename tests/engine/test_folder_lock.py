"""Two runs in one folder: the second refuses in one line, a dead holder's lock is taken over."""

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from engine.folder_lock import LOCK, folder_lock
from tests.engine import command_processes
from tests.experiments import checkpoint, write_experiment
from utils.errors import UserError


def test_the_lock_names_its_holder_and_is_gone_afterwards(tmp_path: Path) -> None:
    with folder_lock(tmp_path) as taken_over:
        assert taken_over is None
        assert (tmp_path / LOCK).read_text() == f"host {socket.gethostname()} pid {os.getpid()} job -"
    assert list(tmp_path.iterdir()) == []


def test_a_lock_left_on_this_host_is_taken_over(tmp_path: Path) -> None:
    left = f"host {socket.gethostname()} pid 1 job -"
    (tmp_path / LOCK).write_text(left)
    with folder_lock(tmp_path) as taken_over:
        assert taken_over == f"took over the folder's lock of a run that has died ({left})"


def test_a_lock_of_another_host_is_not_taken_over(tmp_path: Path) -> None:
    """A file system need not show its lock here, so a person decides; the line says how."""
    (tmp_path / LOCK).write_text("host n7 pid 12 job -")
    with pytest.raises(UserError) as caught, folder_lock(tmp_path):
        pass
    (line,) = caught.value.lines
    assert "another run is training in it (host n7 pid 12 job -)" in line
    assert line.endswith(f"remove {tmp_path / LOCK})")
    assert (tmp_path / LOCK).read_text() == "host n7 pid 12 job -"


def test_a_requeued_job_takes_over_from_its_own_earlier_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "31")
    (tmp_path / LOCK).write_text("host n7 pid 12 job 31")
    with folder_lock(tmp_path) as taken_over:
        assert "job 31" in taken_over


def test_a_second_run_refuses_and_the_first_goes_on(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, workers=2, lr_scheduler={"max_iter": 300}, val_freq=300)
    first = command_processes.start(config)
    first.wait_for("iter 2/")
    second = command_processes.run(config)
    assert second.status == 2
    assert second.err.count("\n") == 1
    assert f"another run is training in it (host {socket.gethostname()} pid {first.process.pid} job -)" in second.err
    assert (config.parent / "log.txt").read_text().count("---- start") == 1
    first.send(signal.SIGTERM)
    assert first.finish().status == 143
    assert not (config.parent / LOCK).exists()


def test_both_ranks_refuse_what_rank_0_found_locked(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, lr_scheduler={"max_iter": 300}, val_freq=300)
    first = command_processes.start(config)
    first.wait_for("iter 2/")
    assert [each.status for each in command_processes.run_ranks(config)] == [2, 2]
    first.send(signal.SIGTERM)
    first.finish()


def test_a_killed_run_is_succeeded_at_once(tmp_path: Path) -> None:
    """Its loader's workers may live on for a moment: the lock is not theirs."""
    config = write_experiment(tmp_path, workers=2, lr_scheduler={"max_iter": 40}, val_freq=40, ckpt_freq=2)
    first = command_processes.start(config)
    first.wait_for("iter 6/")
    first.send(signal.SIGKILL)
    assert first.finish().status == -signal.SIGKILL
    assert (config.parent / LOCK).exists()
    assert command_processes.run(config).status == 0
    log = (config.parent / "log.txt").read_text()
    assert f"took over the folder's lock of a run that has died (host {socket.gethostname()} " in log
    assert checkpoint(config)["iteration"] == 40


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(UserError, match="cannot be written to"), folder_lock(tmp_path):
        pass
