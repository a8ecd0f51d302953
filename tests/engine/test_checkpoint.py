"""A checkpoint is whole or not there; a damaged or foreign one is one clear line."""

import multiprocessing
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoint import (
    BEST,
    LATEST,
    check_same_experiment,
    load_checkpoint,
    remove_leftovers,
    save_checkpoint,
)
from utils.errors import UserError

CONFIG = {
    "model": {"type": "tsm", "backbone": "resnet18", "num_class": 3, "num_frames": 32, "kwargs": {"shift_div": 8}},
    "batch_size": 4,
    "workers": 0,
    "optimizer": "SGD",
    "lr_scheduler": {"base_lr": 0.01, "max_iter": 6},
}


def state(iteration: int, numbers: int = 1000) -> dict[str, Any]:
    return {
        "model": {"weight": torch.arange(numbers) + float(iteration)},
        "optimizer": {},
        "scaler": {},
        "ema": None,
        "iteration": iteration,
        "config": CONFIG,
    }


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_best_one_is_the_same_bytes_until_a_later_one_takes_over(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1), best=True)
    assert (tmp_path / BEST).samefile(tmp_path / LATEST)
    save_checkpoint(tmp_path, state(2), best=False)
    assert load_checkpoint(tmp_path / LATEST)["iteration"] == 2
    assert load_checkpoint(tmp_path / BEST)["iteration"] == 1
    assert torch.equal(load_checkpoint(tmp_path / BEST)["model"]["weight"], state(1)["model"]["weight"])
    save_checkpoint(tmp_path, state(3), best=True)
    assert load_checkpoint(tmp_path / BEST)["iteration"] == 3
    assert names(tmp_path) == {LATEST, BEST}


def save_under_a_limit(folder: str, limit: int) -> None:
    """In a process of its own, whose files may not grow beyond `limit` bytes: what a full disk looks like."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        save_checkpoint(Path(folder), state(2, numbers=100_000), best=True)
    except UserError as error:
        os._exit(3 if len(error.lines) == 1 and "the last checkpoint is as it was" in error.lines[0] else 4)
    os._exit(0)


@pytest.mark.parametrize("limit", [0, 1000, 200_000, 399_000])
def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(limit: int, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1), best=True)
    before = (tmp_path / LATEST).read_bytes()
    process = multiprocessing.get_context("fork").Process(
        daemon=True, target=save_under_a_limit, args=(str(tmp_path), limit)
    )
    process.start()
    process.join()
    assert process.exitcode == 3
    assert names(tmp_path) == {LATEST, BEST}
    assert (tmp_path / LATEST).read_bytes() == (tmp_path / BEST).read_bytes() == before


def save_for_ever(folder: str) -> None:
    for iteration in range(1, 100_000):
        save_checkpoint(Path(folder), state(iteration, numbers=50_000), best=iteration % 2 == 0)


@pytest.mark.parametrize("saves", range(5))
def test_killed_while_saving(saves: int, tmp_path: Path) -> None:
    """Whatever moment the kill meets, both files are whole; what is left over is removed by the next start."""
    process = multiprocessing.get_context("fork").Process(daemon=True, target=save_for_ever, args=(str(tmp_path),))
    process.start()
    while not (tmp_path / BEST).exists():
        os.sched_yield()
    process.join(0.01 * saves)
    process.kill()
    process.join()
    latest, best = load_checkpoint(tmp_path / LATEST)["iteration"], load_checkpoint(tmp_path / BEST)["iteration"]
    assert best % 2 == 0
    assert latest - best in (-1, 0, 1)
    (tmp_path / f".{LATEST}.123.tmp").write_bytes(b"half")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {LATEST, BEST}


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    (line,) = caught.value.lines
    assert line.startswith(f"{path}: ")
    return line


def test_missing(tmp_path: Path) -> None:
    assert "no such checkpoint" in refusal(tmp_path / LATEST)
    assert "no such checkpoint" in refusal(tmp_path)


def test_truncated_anywhere(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1, numbers=10), best=False)
    whole = (tmp_path / LATEST).read_bytes()
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        (tmp_path / LATEST).write_bytes(whole[:length])
        assert "the checkpoint is damaged" in refusal(tmp_path / LATEST), length


def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path) -> None:
    """In every 7th byte: in data the checksum finds it, in the archive's own records it is found or means nothing."""
    path = tmp_path / LATEST
    save_checkpoint(tmp_path, state(1, numbers=10), best=False)
    whole = path.read_bytes()
    refused = 0
    for position in range(0, len(whole), 7):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            loaded = load_checkpoint(path)
        except UserError:
            refused += 1
            continue
        assert loaded["iteration"] == 1
        assert torch.equal(loaded["model"]["weight"], state(1, numbers=10)["model"]["weight"])
    assert refused >= 30


def test_a_flipped_bit_in_the_weights_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1), best=False)
    whole = bytearray((tmp_path / LATEST).read_bytes())
    whole[whole.index(torch.tensor([500.0, 501.0]).numpy().tobytes())] ^= 1
    (tmp_path / LATEST).write_bytes(whole)
    assert "has the wrong checksum" in refusal(tmp_path / LATEST)


class Dangerous:
    """Unpickling it would make a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (self.folder,)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    torch.save({**state(1), "extra": Dangerous(str(tmp_path / "made"))}, tmp_path / LATEST)
    assert "refused" in refusal(tmp_path / LATEST)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"state_dict": {}}, "not a checkpoint of this program: it has no model, optimizer, scaler, ema, iteration"),
        ([1, 2], "not a checkpoint of this program"),
        ({key: value for key, value in state(1).items() if key != "config"}, "it has no config"),
    ],
)
def test_a_file_of_another_program(content: Any, reason: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / LATEST)
    assert reason in refusal(tmp_path / LATEST)


def test_no_torch_file_at_all(tmp_path: Path) -> None:
    (tmp_path / LATEST).write_text("hello")
    assert "the checkpoint is damaged (File is not a zip file)" in refusal(tmp_path / LATEST)


def changed(key: str, value: Any) -> dict[str, Any]:
    """CONFIG with another value at a dotted key."""
    section, _, rest = key.partition(".")
    if not rest:
        return {**CONFIG, key: value}
    if section == "model" and rest.startswith("kwargs."):
        kwargs = {**CONFIG["model"]["kwargs"], rest.removeprefix("kwargs."): value}
        return {**CONFIG, "model": {**CONFIG["model"], "kwargs": kwargs}}
    return {**CONFIG, section: {**CONFIG[section], rest: value}}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.type", "tsn"),
        ("model.backbone", "resnet50"),
        ("model.num_class", 4),
        ("model.modality", "Flow"),
        ("model.kwargs.shift_div", 4),
        ("model.kwargs.width", 8),
        ("optimizer", "ADAMW"),
    ],
)
@pytest.mark.parametrize("both_ways", [False, True])
def test_what_makes_the_method_must_agree(key: str, value: Any, both_ways: bool) -> None:
    pair = (changed(key, value), CONFIG) if both_ways else (CONFIG, changed(key, value))
    with pytest.raises(UserError) as caught:
        check_same_experiment(*pair)
    assert len(caught.value.lines) == 2
    assert caught.value.lines[1].startswith(f"{key}: the checkpoint has ")
    assert repr(value) in caught.value.lines[1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batch_size", 8),
        ("workers", 3),
        ("lr_scheduler.base_lr", 0.1),
        ("lr_scheduler.max_iter", 60),
        ("model.num_segments", 16),
        ("model.dropout", 0.8),
        ("model.num_frames", 64),  # only SlowFast has them
        ("model.kwargs.bn_group_size", 16),
        ("seed", 5),
    ],
)
@pytest.mark.parametrize("both_ways", [False, True])
def test_the_rest_may_change_and_is_named(key: str, value: Any, both_ways: bool) -> None:
    pair = (changed(key, value), CONFIG) if both_ways else (CONFIG, changed(key, value))
    (line,) = check_same_experiment(*pair)
    assert line.startswith(f"{key}: the checkpoint has ")


def test_slowfast_must_agree_in_its_frames() -> None:
    slowfast = changed("model.type", "slowfast")
    longer = {**slowfast, "model": {**slowfast["model"], "num_frames": 64}}
    with pytest.raises(UserError, match="num_frames: the checkpoint has 32, the config 64"):
        check_same_experiment(slowfast, longer)


def test_all_differing_keys_are_listed_at_once() -> None:
    other = {**CONFIG, "model": {**CONFIG["model"], "type": "tsn", "num_class": 9}, "batch_size": 1}
    with pytest.raises(UserError) as caught:
        check_same_experiment(CONFIG, other)
    assert [line.split(":")[0] for line in caught.value.lines[1:]] == ["model.num_class", "model.type"]
    assert check_same_experiment(CONFIG, CONFIG) == []
