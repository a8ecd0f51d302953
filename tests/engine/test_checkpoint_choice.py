"""A truncated or bit-flipped checkpoint: the previous copy is used and a line says so; never silently from scratch."""

from pathlib import Path

import pytest

from engine.checkpoint import BEST, LATEST, previous_name, save_checkpoint
from engine.checkpoint_choice import find_checkpoint, set_aside
from tests.engine import command_processes
from tests.engine.test_checkpoint import names, state
from tests.engine.test_resume import sibling
from tests.experiments import checkpoint, write_experiment
from utils.errors import UserError

PREVIOUS = previous_name(1)


def saved(folder: Path, *, keep: int, best: tuple[int, ...] = ()) -> Path:
    """A folder after saves at iterations 1 to 5."""
    for iteration in range(1, 6):
        save_checkpoint(folder, state(iteration, numbers=10), best=iteration in best, keep=keep)
    return folder


def truncate(path: Path, fraction: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * fraction)])


def found_iteration(folder: Path) -> int | None:
    found = find_checkpoint(folder)
    return found.state["iteration"] if found else None


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_the_last_ones_are_kept(keep: int, tmp_path: Path) -> None:
    saved(tmp_path, keep=keep, best=(2,))
    assert names(tmp_path) == {LATEST, BEST, *(previous_name(number) for number in range(1, keep))}
    iterations = []
    for name in (LATEST, *(previous_name(number) for number in range(1, keep))):
        iterations.append(found_iteration(tmp_path))
        (tmp_path / name).unlink()
    assert iterations == [5, 4, 3, 2][:keep]
    assert found_iteration(tmp_path) == 2, "the best one is the last that stands in"


def test_fewer_are_kept_once_fewer_are_asked_for(tmp_path: Path) -> None:
    saved(tmp_path, keep=4)
    save_checkpoint(tmp_path, state(6), best=False, keep=2)
    assert names(tmp_path) == {LATEST, PREVIOUS}
    save_checkpoint(tmp_path, state(7), best=False, keep=1)
    assert names(tmp_path) == {LATEST}


def test_a_fresh_folder_has_none(tmp_path: Path) -> None:
    assert find_checkpoint(tmp_path) is None


@pytest.mark.parametrize("fraction", [0, 0.01, 0.5, 0.99])
def test_a_truncated_one_is_passed_over_in_favour_of_the_previous(fraction: float, tmp_path: Path) -> None:
    saved(tmp_path, keep=2, best=(1,))
    truncate(tmp_path / LATEST, fraction)
    found = find_checkpoint(tmp_path)
    assert (found.path.name, found.state["iteration"]) == (PREVIOUS, 4)
    assert found.damaged == [tmp_path / LATEST]
    assert found.lines[0].startswith(f"{tmp_path / LATEST}: the checkpoint is damaged")
    assert found.lines[1] == f"going on from {PREVIOUS}, the newest whole checkpoint, at iteration 4"
    set_aside(found.damaged)
    save_checkpoint(tmp_path, state(5), best=False, keep=2)
    assert names(tmp_path) == {LATEST, f"{LATEST}.damaged", PREVIOUS, BEST}
    assert found_iteration(tmp_path) == 5


def test_a_hundred_flipped_bits_are_found_or_harmless(tmp_path: Path) -> None:
    saved(tmp_path, keep=2)
    whole = (tmp_path / LATEST).read_bytes()
    fallen_back = 0
    for number in range(100):
        flipped = bytearray(whole)
        flipped[number * len(whole) // 100] ^= 1 << number % 8
        (tmp_path / LATEST).write_bytes(flipped)
        iteration = found_iteration(tmp_path)
        assert iteration in (4, 5)
        fallen_back += iteration == 4
    assert fallen_back >= 10


def test_the_best_one_shares_the_latest_ones_bytes_and_its_damage(tmp_path: Path) -> None:
    saved(tmp_path, keep=2, best=(5,))
    content = bytearray((tmp_path / LATEST).read_bytes())
    (tmp_path / LATEST).open("r+b").truncate(len(content) // 2)
    assert find_checkpoint(tmp_path).damaged == [tmp_path / LATEST, tmp_path / BEST]
    assert found_iteration(tmp_path) == 4


def test_none_whole_names_each_and_overwrites_nothing(tmp_path: Path) -> None:
    saved(tmp_path, keep=2)
    for name in (LATEST, PREVIOUS):
        truncate(tmp_path / name, 0.5)
    with pytest.raises(UserError) as caught:
        find_checkpoint(tmp_path)
    assert [line.split(":")[0] for line in caught.value.lines[:2]] == [str(tmp_path / LATEST), str(tmp_path / PREVIOUS)]
    assert "has no other checkpoint; nothing was overwritten: restore one" in caught.value.lines[1]


def test_the_command_goes_on_from_the_previous_one_to_the_same_end(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, ckpt_freq=1, val_freq=6, print_freq=1)
    assert command_processes.run(config).status == 0
    broken = sibling(config, "broken")
    assert command_processes.run(broken, "--set", "common.lr_scheduler.max_iter=4").status == 0
    (broken.parent / BEST).unlink()
    truncate(broken.parent / LATEST, 0.5)
    finished = command_processes.run(broken)
    assert finished.status == 0
    log = (broken.parent / "log.txt").read_text()
    assert f"{LATEST}: the checkpoint is damaged" in log
    assert f"resumed from {PREVIOUS} at iteration 3" in log
    assert checkpoint(broken)["iteration"] == 6
    assert (broken.parent / f"{LATEST}.damaged").exists()


def test_the_command_refuses_where_no_copy_is_whole(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, ckpt_freq=1)
    assert command_processes.run(config, "--set", "common.lr_scheduler.max_iter=2").status == 0
    for name in (LATEST, PREVIOUS, BEST):
        truncate(config.parent / name, 0.9)
    before = {path.name: path.read_bytes() for path in config.parent.iterdir() if path.is_file()}
    finished = command_processes.run(config)
    assert finished.status == 2
    assert [line.split(":")[1].split("/")[-1] for line in finished.err.splitlines()[:3]] == [LATEST, PREVIOUS, BEST]
    assert {path.name: path.read_bytes() for path in config.parent.iterdir() if path.is_file()} == before
