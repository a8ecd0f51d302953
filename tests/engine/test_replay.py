"""A loss or gradient that is not finite: the batch is kept, weights stay as they met it, `--replay` says where."""

from pathlib import Path

import pytest
import torch

from tests.engine.command_processes import run, run_ranks
from tests.engine.runs import assemble, finish
from tests.experiments import checkpoint, differences, write_experiment
from utils.errors import UserError

LATEST = "ckpt.pth.tar"


def spoilt_gradient(config: Path) -> str:
    """The refusal of a run whose gradient is spoilt, at iteration 4, behind a finite loss."""
    finish(assemble(config, "common.lr_scheduler.max_iter=3"))
    parts = assemble(config)
    parts.run.method.classifier.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(UserError) as caught:
        finish(parts)
    (line,) = caught.value.lines
    before = checkpoint(config)["model"]
    parameters = {name: p.detach() for name, p in parts.run.method.named_parameters()}
    assert not differences(parameters, {name: before[name] for name in parameters}), "the step was taken"
    return line


def test_a_gradient_that_is_not_finite_ends_the_run_before_the_step(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    line = spoilt_gradient(config)
    assert line.startswith("iteration 4: the gradient is not finite on the videos number [")
    assert checkpoint(config)["iteration"] == 3
    kept = config.parent / "results" / "not_finite_iteration_4_rank_0.pt"
    assert line.endswith(f"main.py --replay {kept}")
    finished = run(config, "--replay", str(kept))
    assert finished.status == 0, "what spoilt it was the test's"
    assert finished.out.count(f"{tmp_path / 'list.txt'}:") == 4
    assert "iteration 4, gradients: all finite" in finished.out


def test_replay_names_the_first_module_that_is_not_finite(tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    spoilt_gradient(config)
    kept = config.parent / "results" / "not_finite_iteration_4_rank_0.pt"
    state = torch.load(kept, weights_only=True)
    state["model"]["backbone.layer2.0.conv1.weight"].fill_(float("nan"))
    torch.save(state, kept)
    before = {path: path.stat().st_mtime_ns for path in config.parent.rglob("*")}
    finished = run(config, "--replay", str(kept))
    assert finished.status == 1
    assert "parameters: 1 not finite, the first: backbone.layer2.0.conv1.weight" in finished.out
    assert "the first: backbone.layer2.0.conv1" in finished.out.split("outputs: ")[1]
    assert {path: path.stat().st_mtime_ns for path in config.parent.rglob("*")} == before


def test_a_loss_of_one_rank_keeps_that_ranks_batch(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, lr_scheduler={"base_lr": 1e30}, val_freq=100)
    assert [each.status for each in run_ranks(config)] == [2, 2]
    kept = [path.name for path in (config.parent / "results").iterdir()]
    assert sorted(kept) == [f"not_finite_iteration_2_rank_{rank}.pt" for rank in range(2)]
    assert not (config.parent / LATEST).exists()
    assert run(config, "--replay", str(config.parent / "results" / kept[0])).status == 1


@pytest.mark.parametrize("content", [b"hello", None])
def test_a_file_that_is_no_kept_batch_is_refused(content: bytes | None, tmp_path: Path) -> None:
    config = write_experiment(tmp_path)
    path = tmp_path / "other.pt"
    path.write_bytes(content) if content else torch.save({"model": {}}, path)
    finished = run(config, "--replay", str(path))
    assert finished.status == 2
    assert finished.err.startswith(f"error: --replay: {path}: ")
    assert finished.err.count("\n") == 1
