"""Predictions from a checkpoint alone: those of the evaluation; a video that can't be read is a line."""

import json
from pathlib import Path

import pytest

from anal_tools.get_reference_results import main as score
from anal_tools.predict import load_predictor, main, predict
from anal_tools.results_file import load_results
from tests.datasets.test_video_source import write_video
from tests.experiments import run, write_experiment
from utils.errors import UserError


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    path = write_experiment(folder, videos=6, lr_scheduler={"max_iter": 1}, val_freq=1)
    (folder / "classInd.txt").write_text("1 run\n2 walk fast\n3 jump\n", encoding="utf-8")
    done = run(path)
    assert done.returncode == 0, done.stderr
    return path


def test_predictions_are_those_of_the_evaluation(config: Path, tmp_path: Path) -> None:
    checkpoint = config.parent / "ckpt.pth.tar"
    arguments = ["--config", str(config), "--load-path", str(checkpoint), "--out", str(tmp_path / "x.npz")]
    assert score(arguments) == 0
    wanted = load_results(tmp_path / "x.npz").probabilities()
    predictor = load_predictor(checkpoint)
    for number, row in enumerate(wanted):
        found = dict(predict(predictor, config.parent.parent / "frames" / f"clip {number}"))
        assert list(found) == [["run", "walk fast", "jump"][k] for k in (-row).argsort(kind="stable")]
        assert [found[name] for name in ("run", "walk fast", "jump")] == pytest.approx(list(row), abs=1e-5)


def test_one_broken_video_among_others(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_video(tmp_path / "v.avi", frames=12, size=(48, 64))
    (tmp_path / "broken.avi").write_bytes(b"no video")
    files = [str(tmp_path / name) for name in ("broken.avi", "v.avi", "gone.avi")]
    with pytest.raises(UserError) as error:
        main(["--load-path", str(config.parent / "ckpt.pth.tar"), "--protocol", "dense", "--json", *files])
    assert [line.split(": ")[0] for line in error.value.lines] == [files[0], files[2]]
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["video"] == files[1]
    assert len(json.loads(line)["top"]) == 3
