"""analyze.py on seven videos (see score_files.py): every file, and what is printed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from anal_tools.analyze import main, summarise
from tests.anal_tools.score_files import results
from tests.frame_folders import make_frame_folders
from utils.errors import UserError

FILES = [
    *("accuracy_by_length.csv", "calibration.csv", "confused_pairs.csv", "confusion_matrix.csv"),
    *("confusion_matrix.png", "errors.html", "errors_by_loss_top100.csv", "errors_top100.csv", "label_suspects.csv"),
    *("per_class.csv", "summary.json"),
]


def test_every_file_is_written_and_the_summary_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_frame_folders(tmp_path / "moved", [f"a folder/video {row}" for row in (1, 2, 4)], frames=9)
    results().save(tmp_path / "results.npz")
    out = tmp_path / "new" / "report"
    arguments = [str(tmp_path / "results.npz"), "--out", str(out), "--root", str(tmp_path / "moved")]
    assert main(arguments) == 0
    assert sorted(path.name for path in out.iterdir()) == FILES
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("warning: 1 of 4 errors are shown without frames, e.g. frames not found: ")
    assert "a folder/video 5" in lines[0]
    assert lines[1:3] == ["confused: run and walk, 3 videos", "confused: run and jump, 1 videos"]
    assert "top-1: 42.86 %" in lines
    assert "protocol: center" in lines
    assert (out / "errors.html").read_text(encoding="utf-8").count("data:image/jpeg") == 3
    assert json.loads((out / "summary.json").read_text()) == summarise(results())
    with (out / "errors_top100.csv").open(newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [f"a folder/video {row}" for row in (2, 1, 4, 5)]


def test_summary_by_hand() -> None:
    summary = summarise(results(protocol="tsm-dense-10x3"))
    assert summary == {
        "videos": "7",
        "classes": "3",
        "protocol": "tsm-dense-10x3",
        "top-1": "42.86 %",  # 3 of 7
        "top-5": "100.00 %",
        "mean class accuracy": "44.44 %",  # 1 / 3, 1 / 2, 1 / 2
        "95 % interval of top-1": summary["95 % interval of top-1"],
        "negative log likelihood": summary["negative log likelihood"],
        "calibration error": summary["calibration error"],
        "checkpoint": "exps/x/ckpt_best.pth.tar",
        "list": "lists/val.txt",
    }


def test_all_right_and_forty_one_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No error, no pair, and the picture of a large matrix."""
    perfect = results(
        scores=3 * np.eye(41, dtype=np.float32),
        labels=np.arange(41),
        paths=np.array([f"v{i}" for i in range(41)]),
        class_names=np.array([f"class {i}" for i in range(41)]),
        num_frames=np.full(41, 9),
    )
    perfect.save(tmp_path / "results.npz")
    assert main([str(tmp_path / "results.npz"), "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "top-1: 100.00 %" in printed
    assert "confused" not in printed.replace("confused_pairs", "")
    assert "warning" not in printed
    assert (tmp_path / "errors_top100.csv").read_text().count("\n") == 1
    assert "every video was recognised" in (tmp_path / "errors.html").read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    results().save(tmp_path / "results.npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/report: can't be written \(Not a directory\)"):
        main([str(tmp_path / "results.npz"), "--out", str(tmp_path / "file" / "report")])
