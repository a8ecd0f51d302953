"""Two experiment folders side by side: differences of their configs, best results, curves."""

import csv
import shutil
from pathlib import Path

import pytest

from anal_tools.compare_runs import differences, flat, main, markdown, read_run, short_names
from tests.anal_tools.score_files import results
from tests.experiments import checkpoint, run, write_experiment
from utils.errors import UserError


def test_a_trained_run_beside_one_that_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_experiment(tmp_path, videos=6, lr_scheduler={"max_iter": 2}, val_freq=1)
    assert run(config).returncode == 0
    results().save(config.parent / "results" / "center.npz")
    other = tmp_path / "other"
    other.mkdir()
    text = config.read_text().replace("batch_size: 4", "batch_size: 2")
    (other / "config.yaml").write_text(text)
    assert main([str(config.parent), str(other), "--out", str(tmp_path / "out")]) == 0
    page = capsys.readouterr().out
    best = checkpoint(config, "ckpt_best.pth.tar")
    row = f"| experiment | {best['best_iteration']} | center | {best['best_metric']:.2f} |  |  | ckpt_best.pth.tar |"
    assert row in page
    assert "| experiment |  | center | 42.86 (14.29 - 71.43) | 44.44 | 7 | results/center.npz |" in page
    assert "| other |  |  | nothing evaluated yet |" in page
    assert "| batch_size | 4 | 2 |" in page
    assert (tmp_path / "out" / "runs.md").read_text() == page
    assert '"train/loss":{"experiment":' in (tmp_path / "out" / "runs.html").read_text()
    with (tmp_path / "out" / "curves.csv").open(newline="") as file:
        points = [row for row in csv.DictReader(file) if row["curve"] == "val_center/top1"]
    assert [point["iteration"] for point in points] == ["1", "2"]
    shutil.rmtree(other)
    with pytest.raises(UserError, match=r"other: no config\.yaml; needs an experiment's folder"):
        read_run(other, "other")


def test_differences_names_and_tables_by_hand(tmp_path: Path) -> None:
    assert flat({"a": {"b": 1, "c": {}}, "d": [1, 2]}) == {"a.b": "1", "a.c": "{}", "d": "[1, 2]"}
    assert markdown(["a", "b"], [["x|y", "z"]]) == "| a | b |\n| --- | --- |\n| x\\|y | z |\n"
    assert short_names([tmp_path / "one/tsn", tmp_path / "two/tsn"]) == ["one/tsn", "two/tsn"]
    assert short_names([tmp_path / "one", tmp_path / "two"]) == ["one", "two"]
    with pytest.raises(UserError, match="twice"):
        short_names([tmp_path, tmp_path])
    assert differences([]) == []
