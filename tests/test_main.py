"""The command: what it refuses, in one clear line each and with nothing written, and what it does.

Each run is a process of its own with its real exit status.
"""

import re
import shutil
from pathlib import Path

import pytest

from main import main
from tests import experiments
from tests.engine.command_processes import refused, run
from tests.experiments import checkpoint, spoil


def with_line(config: Path, text: str) -> None:
    with (config.parent.parent / "list.txt").open("a", encoding="utf-8") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("common.train_root=/nowhere", "common.train_root: got '/nowhere', no such folder"),
        ("common.val_root=/nowhere", "common.val_root: got '/nowhere', no such folder"),
        ("common.train_source=none.txt", "common.train_source: got 'none.txt', no such file"),
        ("common.val_source=none.txt", "common.val_source: got 'none.txt', no such file"),
        ("common.model.pretrained=none.pth", "none.pth: no such weights file; correct common.model.pretrained"),
        ("common.batch_sise=4", "--set: common.batch_sise: no such key. Did you mean 'batch_size'?"),
        ("common.val_protocol=centre", "got 'centre', needs one of center, "),
        ("common.batch_size=0", "--set: common.batch_size: got 0"),
        ("common.precision=fp16", "common.precision: got fp16, which needs a GPU"),
        ("common.model.kwargs.widht=8", "Did you mean 'width'?"),
        ("batch_size=8", "--set: got 'batch_size=8', needs common.key=value; did you mean common.batch_size=8?"),
    ],
)
def test_a_wrong_value_is_one_line(override: str, message: str, config: Path) -> None:
    (line,) = refused(run(config, "--set", override), config)
    assert message in line


def test_a_misspelt_key_is_named_with_its_line(config: Path) -> None:
    config.write_text(config.read_text().replace("backbone:", "backbon:"))
    lines = refused(run(config), config)
    assert f"{config}:4: common.model.backbon: no such key. Did you mean 'backbone'?" in lines[0]


def test_a_missing_config(tmp_path: Path) -> None:
    finished = run(tmp_path / "experiment" / "config.yaml")
    assert finished.status == 2
    assert finished.err.count("\n") == 1
    assert "no such file" in finished.err
    assert not (tmp_path / "experiment").exists()


def test_labels_beyond_num_class_are_all_named(config: Path) -> None:
    with_line(config, "clip 0 9 3\nclip 1 9 0\nclip 2 9 77\n")
    lines = refused(run(config), config)
    numbers = [number for line in lines for number in re.findall(r"list\.txt:(\d+)", line)]
    assert numbers[:2] == ["13", "15"]
    assert "77" in lines[1]


def test_an_unknown_protocol_on_the_command_line(config: Path) -> None:
    (line,) = refused(run(config, "--evaluate", "--protocol", "tsm-dense-10x4"), config)
    assert "got 'tsm-dense-10x4'" in line
    assert line.endswith("Did you mean 'tsm-dense-10x3'?")


def test_a_protocol_of_another_method(config: Path) -> None:
    (line,) = refused(run(config, "--protocol", "slowfast-10x3"), config)
    assert "protocol: got 'slowfast-10x3', whose clips are made of clip, for a method that takes segments" in line


@pytest.mark.parametrize("mode", [["--evaluate"], []])
def test_a_load_path_that_is_missing(mode: list[str], config: Path) -> None:
    (line,) = refused(run(config, *mode, "--load-path", "no such: file #1.pth"), config)
    assert "no such: file #1.pth: no such" in line


def test_nothing_to_evaluate_yet(config: Path) -> None:
    (line,) = refused(run(config, "--evaluate"), config)
    assert "no ckpt_best.pth.tar to evaluate; train first, or give --load-path FILE" in line


def test_check_and_evaluate_exclude_each_other(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--config", str(config), "--check", "--evaluate"])
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("mode", [[], ["--evaluate"]])
@pytest.mark.parametrize(
    ("changes", "keys"),
    [
        (["common.model.type=tsn"], ["model.type"]),
        (["common.model.backbone=resnet34"], ["model.backbone"]),
        (["common.model.num_class=4", "common.model.kwargs.width=16"], ["model.kwargs.width", "model.num_class"]),
    ],
)
def test_a_checkpoint_of_another_config(
    changes: list[str], keys: list[str], mode: list[str], trained: Path, config: Path
) -> None:
    options = [part for change in changes for part in ("--set", change)]
    if mode:
        lines = refused(run(config, *mode, "--load-path", str(trained.parent / "ckpt.pth.tar"), *options), config)
    else:
        before = {path.name: path.read_bytes() for path in trained.parent.iterdir() if path.is_file()}
        finished = run(trained, *options)
        assert (finished.status, "Traceback" in finished.err) == (2, False)
        assert {path.name: path.read_bytes() for path in trained.parent.iterdir() if path.is_file()} == before
        lines = [line.removeprefix("error: ") for line in finished.err.splitlines()]
    assert lines[0].startswith("the checkpoint belongs to another config")
    assert [line.split(":")[0] for line in lines[1:]] == keys


@pytest.mark.parametrize("mode", [[], ["--evaluate"]])
def test_a_damaged_checkpoint(mode: list[str], trained: Path, config: Path) -> None:
    content = (trained.parent / "ckpt.pth.tar").read_bytes()
    path = config.parent / "ckpt.pth.tar"
    path.write_bytes(content[: len(content) // 2])
    finished = run(config, *mode)
    assert finished.status == 2
    assert finished.err.count("\n") == 1
    assert finished.err.startswith(f"error: {path}: ")
    assert re.search("the checkpoint is damaged|not a file of weights that can be loaded", finished.err)
    assert {each.name for each in config.parent.iterdir()} == {"config.yaml", "ckpt.pth.tar"}


def test_unreadable_frames_in_training_are_counted_and_stop_above_the_limit(config: Path) -> None:
    shutil.copytree(config.parent.parent / "frames", config.parent.parent / "good frames")
    spoil(config.parent.parent, 3, 5, 7)
    rest = ["--set", f"common.val_root={config.parent.parent / 'good frames'}"]
    finished = run(config, *rest, "--set", "common.bad_data.limit=2")
    assert finished.status == 2
    assert finished.err.count("\n") == 1
    assert "3 broken videos, bad_data.limit is 2" in finished.err
    log = (config.parent / "log.txt").read_text()
    assert sorted(re.findall(r"broken video \d, another drawn in its place: .*list\.txt:(\d+): ", log)) == [
        "4",
        "6",
        "8",
    ]
    assert "error: 3 broken videos" in log
    stopped_at = checkpoint(config)["iteration"]
    assert 1 <= stopped_at <= 3
    finished = run(config, *rest, "--set", "common.bad_data.limit=3")
    assert finished.status == 0
    assert f"resumed from ckpt.pth.tar at iteration {stopped_at}" in finished.out
    assert "bad_data.limit: the checkpoint has 2, the config 3" in finished.out
    assert checkpoint(config)["iteration"] == 6


def test_bad_data_may_stop_at_once(config: Path) -> None:
    spoil(config.parent.parent, *range(12))
    finished = run(config, "--set", "common.bad_data.train=stop")
    assert finished.status == 2
    assert re.search(r"error: .*list\.txt:\d+: clip \d+: .*not a picture.*set bad_data.train: skip", finished.err)
    assert "Traceback" not in finished.err


@pytest.mark.parametrize("workers", [0, 2])
def test_unreadable_frames_stop_an_evaluation(workers: int, trained: Path, config: Path) -> None:
    spoil(config.parent.parent, 4)
    weights = str(trained.parent / "ckpt.pth.tar")
    finished = run(config, "--evaluate", "--load-path", weights, "--set", f"common.workers={workers}")
    assert finished.status == 2
    (line,) = [line for line in finished.err.splitlines() if line.startswith("error: ")]
    assert "list.txt:5: clip 4: " in line
    assert "evaluation substitutes nothing" in line
    assert "Traceback" not in finished.err
    assert "evaluation of" not in finished.out


def test_a_loss_that_is_not_finite(config: Path) -> None:
    finished = run(config, "--set", "common.lr_scheduler.base_lr=1e30", "--set", "common.val_freq=100")
    assert finished.status == 2
    assert finished.err.count("\n") == 1
    assert "error: iteration 2: the loss is not finite on the videos number [" in finished.err
    assert not (config.parent / "ckpt.pth.tar").exists()


@pytest.mark.slow
def test_a_users_own_start(config: Path) -> None:
    """`python main.py` itself, trained and refused."""
    finished = experiments.run(config, "--set", "common.lr_scheduler.max_iter=1")
    assert (finished.returncode, finished.stderr) == (0, "")
    finished = experiments.run(config, "--set", "common.model.type=tsn")
    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 2
