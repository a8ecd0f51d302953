"""A real SIGKILL in the middle of an evaluation: what was scored is kept, the rest is scored, the scores are the same.

A named pipe in the place of a video's frames holds the process at that video, so that the kill always falls there.
"""

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch

from anal_tools.get_reference_results import main
from anal_tools.results_file import Results, load_results
from engine.partial_scores import PartialScores
from tests.engine.command_processes import run
from tests.experiments import environment, write_experiment

VIDEOS, HELD_AT, KEPT = 10, 6, 4  # videos 4 and 5 are a block that is scored once video 6 is there
PROTOCOLS = ("center", "tsm-dense-10x3")
SECONDS = 120


def score(arguments: list[str]) -> None:
    """In a process of its own: the command, parts written with each block in place of every 30 s."""
    os.environ.clear()
    os.environ.update(environment())
    torch.set_num_threads(1)
    PartialScores.__init__.__kwdefaults__["every_seconds"] = 0.0
    main(arguments)


def arguments(config: Path, out: Path) -> list[str]:
    """Blocks of two videos by the centre, of one by the dense protocol."""
    checkpoint = str(config.parent / "ckpt.pth.tar")
    return [
        *("--config", str(config), "--load-path", checkpoint, "--out", str(out)),
        *("--protocol", ",".join(PROTOCOLS), "--set", "common.val_batch_size=2", "--per-view"),
    ]


def parts(out: Path) -> list[Path]:
    return sorted(out.parent.glob(f".{out.stem}.parts/*/*.npz"))


def results(out: Path) -> list[Results]:
    return [load_results(out.with_name(f"{out.stem}.{protocol}.npz")) for protocol in PROTOCOLS]


def hold(folder: Path) -> dict[Path, bytes]:
    """Put pipes in the place of a video's frames; returns the frames."""
    frames = {path: path.read_bytes() for path in folder.iterdir()}
    for path in frames:
        path.unlink()
        os.mkfifo(path)
    return frames


def let_go(frames: dict[Path, bytes]) -> None:
    for path, content in frames.items():
        path.unlink()
        path.write_bytes(content)


def wait_for_parts(process: BaseProcess, out: Path, videos: int) -> None:
    """Return once the parts on disk hold `videos` videos."""
    end = time.monotonic() + SECONDS
    while sum(int(path.name.split("-")[1]) for path in parts(out)) < videos:
        assert process.is_alive(), "the evaluation ended before it was killed"
        assert time.monotonic() < end, f"only {parts(out)} after {SECONDS} s"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_evaluation_goes_on_to_the_same_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_experiment(tmp_path, videos=VIDEOS, lr_scheduler={"max_iter": 1}, val_freq=1)
    trained = run(config)
    assert trained.status == 0, trained.err
    assert main(arguments(config, tmp_path / "unbroken.npz")) == 0

    killed = tmp_path / "killed.npz"
    frames = hold(tmp_path / "frames" / f"clip {HELD_AT}")
    process = multiprocessing.get_context("forkserver").Process(target=score, args=(arguments(config, killed),))
    process.start()
    wait_for_parts(process, killed, KEPT)
    process.kill()
    process.join(SECONDS)
    assert process.exitcode == -signal.SIGKILL
    assert not list(tmp_path.glob("killed.*"))  # no score file of half the videos
    let_go(frames)

    for number in range(KEPT):  # what is kept is not read again
        for path in (tmp_path / "frames" / f"clip {number}").iterdir():
            path.write_bytes(b"no jpeg")
    capsys.readouterr()
    assert main(arguments(config, killed)) == 0
    assert f"{KEPT} videos were scored by an earlier start; going on from there" in capsys.readouterr().out
    assert parts(killed) == []
    for gone_on, straight in zip(results(killed), results(tmp_path / "unbroken.npz"), strict=True):
        assert gone_on.paths.tolist() == [f"clip {number}" for number in range(VIDEOS)]
        assert np.array_equal(gone_on.scores, straight.scores)
        assert np.array_equal(gone_on.views, straight.views)
        assert gone_on.protocol == straight.protocol
