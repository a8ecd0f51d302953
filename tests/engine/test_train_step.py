"""The real step: two ranks of four clips equal one of eight, gradients add up, every option does what it says."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datasets.loaders import Batch
from engine.commands import build_placed
from engine.distributed import World
from engine.run import Run, build_run
from engine.train_step import accuracies, train_step
from tests.engine.rank_processes import on_ranks
from tests.engine.runs import ALONE
from tests.experiments import write_experiment
from utils.config_file import load_config

PLAIN: dict[str, Any] = {
    "model": {"dropout": 0.0},
    "augmentation": {"colorjitter": None, "mix_up": 0.0},
    "weight_decay": 0.0,
    "lr_scheduler": {"type": "STEP", "lr_steps": [4], "lr_mults": [0.1], "base_lr": 0.1},
}
CLIPS = 8


def build(config: str | Path, *overrides: str, world: World = ALONE) -> Run:
    loaded = load_config(config, overrides)
    return build_run(loaded, build_placed(loaded, world, initialise=True), world)


def batch(clips: range, step: int = 0) -> Batch:
    """Clips of noise, the same for the same numbers."""
    generator = torch.Generator().manual_seed(step)
    frames = torch.randint(0, 256, (CLIPS, 3, 32, 32, 3), generator=generator, dtype=torch.uint8)
    numbers = torch.tensor(clips)
    return Batch(frames[numbers], numbers % 3, numbers, numbers + CLIPS * step, [])


def momenta(run: Run) -> dict[str, torch.Tensor]:
    """The first step's momentum of a parameter is its gradient."""
    return {name: state["momentum_buffer"] for name, state in run.state()["optimizer"].items()}


def steps(world: World, config: str, overrides: list[str], parts: int, count: int = 1) -> dict[str, Any]:
    """`count` steps over the 8 clips, dealt out to ranks and to `parts` batches each."""
    run = build(config, *overrides, world=world)
    size = CLIPS // world.size // parts
    losses = []
    for step in range(count):
        firsts = range(world.rank * parts * size, (world.rank + 1) * parts * size, size)
        losses.append(train_step(run, [batch(range(first, first + size), step) for first in firsts])["loss"])
        run.iteration += 1
    return {"losses": torch.tensor(losses), "gradients": momenta(run), "state": run.method.state_dict()}


def mean_loss(results: list[dict[str, Any]]) -> torch.Tensor:
    return torch.stack([result["losses"] for result in results]).mean(dim=0)


@pytest.mark.parametrize("channels_last", [False, True])
def test_two_ranks_of_four_with_sync_bn_equal_one_of_eight(channels_last: bool, tmp_path: Path) -> None:
    config = str(write_experiment(tmp_path, **PLAIN, channels_last=channels_last))
    overrides = ["common.model.kwargs.bn_group_size=2"]
    (expected,) = on_ranks(steps, tmp_path, config, overrides, 1, ranks=1)
    results = on_ranks(steps, tmp_path, config, overrides, 1, ranks=2)
    torch.testing.assert_close(mean_loss(results), expected["losses"], rtol=0, atol=1e-5)
    for result in results:
        torch.testing.assert_close(result["gradients"], expected["gradients"], rtol=0, atol=1e-5)
        for name, value in expected["state"].items():
            torch.testing.assert_close(result["state"][name], value, rtol=1e-5, atol=1e-5, msg=name)


def test_without_sync_bn_they_do_not(tmp_path: Path) -> None:
    config = str(write_experiment(tmp_path, **PLAIN))
    (expected,) = on_ranks(steps, tmp_path, config, [], 1, ranks=1)
    one, other = on_ranks(steps, tmp_path, config, [], 1, ranks=2)
    assert (one["gradients"]["classifier.weight"] - expected["gradients"]["classifier.weight"]).abs().max() > 1e-3
    mean = "backbone.bn1.running_mean"
    assert not torch.equal(one["state"][mean], other["state"][mean])
    assert torch.equal(one["state"]["classifier.weight"], other["state"]["classifier.weight"])


def test_accumulated_batches_on_two_ranks_equal_four_on_one(tmp_path: Path) -> None:
    config = str(write_experiment(tmp_path, **PLAIN))
    (expected,) = on_ranks(steps, tmp_path, config, [], 4, 3, ranks=1)
    results = on_ranks(steps, tmp_path, config, [], 2, 3, ranks=2)
    torch.testing.assert_close(mean_loss(results), expected["losses"], rtol=0, atol=1e-5)
    for result in results:
        torch.testing.assert_close(result["gradients"], expected["gradients"], rtol=0, atol=1e-4)


def test_rate_is_that_of_the_iteration(tmp_path: Path) -> None:
    run = build(write_experiment(tmp_path, **PLAIN))
    rates = []
    for run.iteration in range(6):
        train_step(run, [batch(range(2))])
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 2)
    assert run.iteration == 5, "the caller counts"


def test_clipping_bounds_the_norm_of_all_gradients(tmp_path: Path) -> None:
    norms = []
    for name in ("null", "0.5"):
        run = build(write_experiment(tmp_path, **PLAIN), f"common.clip_gradient={name}")
        train_step(run, [batch(range(4))])
        norms.append(torch.cat([value.flatten() for value in momenta(run).values()]).norm().item())
    assert norms[0] > 0.6
    assert norms[1] == pytest.approx(0.5, rel=1e-4)


def test_the_average_of_the_weights_by_hand(tmp_path: Path) -> None:
    run = build(write_experiment(tmp_path, **PLAIN), "common.ema=0.9")
    name = "classifier.weight"
    average = None
    for run.iteration in range(3):
        train_step(run, [batch(range(4), run.iteration)])
        weight = run.method.state_dict()[name]
        average = weight.clone() if average is None else 0.9 * average + 0.1 * weight
        torch.testing.assert_close(run.scored.state_dict()[name], average)
    assert not torch.equal(average, run.method.state_dict()[name])
    for ours, theirs in zip(run.scored.buffers(), run.method.buffers()):
        assert torch.equal(ours, theirs)


def test_dropout_follows_from_seed_iteration_and_rank(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, **{**PLAIN, "model": {"dropout": 0.5}})
    losses = {}
    for label, overrides, iteration, rank in (
        ("first", [], 0, 0),
        ("again", [], 0, 0),
        ("later", [], 1, 0),
        ("seed", ["common.seed=1"], 0, 0),
        ("rank", [], 0, 1),
    ):
        run = build(config, *overrides)
        run.world = World(rank=rank, size=1, local_rank=0, device=ALONE.device)
        run.method.load_state_dict(build(config).method.state_dict())
        run.iteration = iteration
        torch.rand(7)  # whatever was drawn before
        losses[label] = train_step(run, [batch(range(4))])["loss"]
    assert losses["first"] == losses["again"]
    assert len(set(losses.values())) == 4, losses


def test_accuracies_by_hand() -> None:
    logits = torch.tensor(
        [[9.0, 1, 2, 3, 4, 5, 6], [9, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 5, 9]]
    )
    targets = torch.zeros(4, 7)
    targets[0, 0], targets[1, 6], targets[2, 0] = 1, 1, 1  # first; second; last
    targets[3, 5], targets[3, 6] = 0.4, 0.6  # mixed: the larger part counts
    top1, top5 = accuracies(logits, targets)
    assert (top1.item(), top5.item()) == (50.0, 75.0)


def test_fewer_than_five_classes_are_all_in_top5() -> None:
    assert accuracies(torch.eye(3), torch.eye(3).flip(0))[1].item() == 100.0


def test_bf16_on_the_cpu(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, **PLAIN)
    losses = {
        p: train_step(build(config, f"common.precision={p}"), [batch(range(8))])["loss"] for p in ("fp32", "bf16")
    }
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], abs=0.05)


GPU = World(rank=0, size=1, local_rank=0, device=torch.device("cuda"))


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_steps_on_a_gpu(precision: str, channels_last: bool, tmp_path: Path) -> None:
    config = write_experiment(tmp_path, **PLAIN, precision=precision, channels_last=channels_last)
    expected = train_step(build(config, "common.precision=fp32"), [batch(range(8))])["loss"]
    run = build(config, world=GPU)
    losses = [train_step(run, [batch(range(8))])["loss"] for _ in range(8)]
    assert torch.tensor(losses).isfinite().all()
    assert losses[0] == pytest.approx(expected, abs=1e-3 if precision == "fp32" else 0.05)
    assert losses[-1] < losses[0], "eight steps on one batch did not lower its loss"
    assert all(parameter.isfinite().all() for parameter in run.method.parameters())
    assert run.scaler.is_enabled() == (precision == "fp16")
    assert run.method.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last) == channels_last


@pytest.mark.cuda
def test_fp16_resumes_with_its_scale(tmp_path: Path) -> None:
    config = write_experiment(tmp_path, **PLAIN, precision="fp16")
    run, resumed = build(config, world=GPU), build(config, world=GPU)
    run.scaler.update(new_scale=1024.0)
    train_step(run, [batch(range(8))])
    resumed.restore(run.state())
    assert resumed.scaler.get_scale() == run.scaler.get_scale() == 1024.0
