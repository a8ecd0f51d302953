"""Where a clip's time goes: every stage measured, and what is concluded from given times."""

from pathlib import Path

import pytest

from anal_tools.benchmark_data import main
from anal_tools.loading_stages import Stage, verdict, workers_needed
from tests.datasets.test_video_source import write_video
from tests.experiments import write_experiment


def stages(loading: float, device: float) -> list[Stage]:
    shares = {"storage": 0.1 * loading, "decode": 0.6 * loading, "transform": 0.2 * loading, "hand-over": 0.1 * loading}
    return [Stage(name, wall, wall) for name, wall in {**shares, "copy": 0.1, "compute": device - 0.1}.items()]


def test_every_stage_is_measured_and_nothing_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_experiment(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["--config", str(config), "--clips", "12", "--steps", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line.split()[0]: [float(value) for value in line.split()[1:3]] for line in lines[1:7]}
    assert list(table) == ["storage", "decode", "transform", "hand-over", "copy", "compute"]
    assert all(table[name][0] > 0 for name in ("storage", "decode", "transform", "compute"))
    assert lines[-2].startswith("workers needed per device: ")
    assert sorted(tmp_path.rglob("*")) == before


def test_of_videos_reading_and_decoding_are_one_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_experiment(tmp_path, videos=3, source={"type": "video"})
    lines = []
    for number in range(3):
        write_video(tmp_path / f"frames/{number}.mp4", 12)
        lines.append(f"{number}.mp4 12 {number}\n")
    (tmp_path / "list.txt").write_text("".join(lines), encoding="utf-8")
    assert main(["--config", str(config), "--clips", "4", "--steps", "1", "--set", "common.batch_size=2"]) == 0
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:6]]
    assert named == ["decode", "transform", "hand-over", "copy", "compute"]


@pytest.mark.parametrize(("loading", "device", "workers"), [(5.0, 10.0, 1), (40.0, 10.0, 5), (9.5, 10.0, 2)])
def test_as_many_workers_are_needed_as_keep_the_device_busy(loading: float, device: float, workers: int) -> None:
    assert workers_needed(stages(loading, device)) == workers


def test_the_slower_side_is_named_with_its_largest_stage() -> None:
    lines = verdict(stages(40.0, 10.0), workers=2, cores=8)
    assert "bottleneck with 2 workers on 8 cores: the data; most of it is decode" in lines
    assert lines[-1] == "set common.workers: 5"
    assert verdict(stages(40.0, 10.0), workers=2, cores=4)[-1] == "5 workers need as many cores, this machine has 4"
    assert "the device; most of it is compute" in verdict(stages(5.0, 10.0), workers=2, cores=4)[1]
