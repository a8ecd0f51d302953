import fcntl
import os
import socket
import time
from pathlib import Path

import pytest

from datasets.prepare.frame_folder import clear_leftovers, private_folder, put_in_place, read_marker, write_marker


def _made(folder: Path, num_frames: int) -> Path:
    folder.mkdir(parents=True)
    write_marker(folder, {"num_frames": num_frames})
    return folder


def test_only_leftovers_of_the_dead_are_cleared(tmp_path: Path) -> None:
    host = socket.gethostname()
    dead = tmp_path / f".dumping/{host}.dead"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    old = tmp_path / f".dumping/{host}.killed_before_its_lock"
    old.mkdir()
    os.utime(old, (0, 0))
    (tmp_path / f".dumping/{host}.just_made").mkdir()
    with private_folder(tmp_path) as alive:
        assert clear_leftovers(tmp_path) == 2
        assert sorted(path.name for path in (tmp_path / ".dumping").iterdir()) == sorted(
            [alive.name, f"{host}.just_made"]
        )
    assert not alive.exists()


def test_the_last_one_takes_the_place_away(tmp_path: Path) -> None:
    with private_folder(tmp_path):
        pass
    assert clear_leftovers(tmp_path) == 0
    assert not (tmp_path / ".dumping").exists()


def test_a_lock_of_another_process_is_respected(tmp_path: Path) -> None:
    folder = tmp_path / f".dumping/{socket.gethostname()}.other"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a lock belongs to the open file, so this is as good as another process
        assert clear_leftovers(tmp_path) == 0
    assert clear_leftovers(tmp_path) == 1


def test_another_machine_whose_locks_are_not_seen_here_is_given_a_day(tmp_path: Path) -> None:
    for name, hours in (("node7.at_work", 23), ("node8.long_dead", 25)):
        (tmp_path / f".dumping/{name}").mkdir(parents=True)
        (tmp_path / f".dumping/{name}/lock").touch()
        then = time.time() - 3600 * hours
        os.utime(tmp_path / f".dumping/{name}", (then, then))
    assert clear_leftovers(tmp_path) == 1
    assert [path.name for path in (tmp_path / ".dumping").iterdir()] == ["node7.at_work"]


def test_put_in_place_replaces_what_it_made_before(tmp_path: Path) -> None:
    put_in_place(_made(tmp_path / "new", 2), tmp_path / "a/b", discard=tmp_path / "x")
    put_in_place(_made(tmp_path / "new", 3), tmp_path / "a/b", discard=tmp_path / "x")
    assert read_marker(tmp_path / "a/b") == {"num_frames": 3}
    assert read_marker(tmp_path / "x") == {"num_frames": 2}


def test_put_in_place_never_touches_what_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/img_00001.jpg").touch()
    with pytest.raises(OSError, match="not empty"):
        put_in_place(_made(tmp_path / "new", 2), tmp_path / "mine", discard=tmp_path / "x")
    assert os.listdir(tmp_path / "mine") == ["img_00001.jpg"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"num_frames": "3"}', "\xff"])
def test_a_damaged_marker_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ".dump.json").write_bytes(text.encode("latin-1"))
    assert read_marker(tmp_path) is None
